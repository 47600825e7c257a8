"""Metrics and health over HTTP, for the machines of the administrator.

Reads only, has no password and speaks no TLS: it belongs on loopback, or behind a firewall.
"""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any, ClassVar

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from node.bootstrap.health import Readiness
from node.domain.errors import SetupFault

log = structlog.get_logger()

REQUEST_TIMEOUT_S = 10.0
MAXIMUM_REQUESTS = 8
"""At a time: a database that hangs must not fill the process with threads."""


class HttpService:
    """Serves ``/metrics``, ``/health`` and ``/ready``.

    Parameters
    ----------
    address, port
        Where to listen; port 0 takes a free one.
    collector : Collector
    look : callable
        Whether the node is ready.

    Raises
    ------
    SetupFault
        The port cannot be bound.
    """

    def __init__(
        self, *, address: str, port: int, collector: Collector, look: Callable[[], Readiness]
    ) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(collector)

        class Handler(_Handler):
            answers: ClassVar[dict[str, Callable[[], _Answer]]] = {
                "/metrics": lambda: (HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)),
                "/health": lambda: (HTTPStatus.OK, "text/plain", b"alive\n"),
                "/ready": lambda: _tell(look()),
            }

        try:
            self._server = _server_class(address)((address, port), Handler)
        except OSError as error:
            raise SetupFault(
                f"metrics cannot listen on {address} port {port}: {error.strerror or error}; "
                "set another metrics.port in node.yaml, or 0 for none"
            ) from error

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Serve in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        thread.start()
        log.info("metrics.started", port=self.port)

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()


_Answer = tuple[HTTPStatus, str, bytes]


def _tell(readiness: Readiness) -> _Answer:
    found = {
        "ready": readiness.is_ready,
        "database": readiness.database,
        "disk": readiness.disk,
        "listener": readiness.listener,
    }
    status = HTTPStatus.OK if readiness.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps(found).encode() + b"\n"


def _server_class(address: str) -> type[ThreadingHTTPServer]:
    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in address else AF_INET
        daemon_threads = True
        places = threading.BoundedSemaphore(MAXIMUM_REQUESTS)

        def process_request(self, request: Any, client_address: Any) -> None:
            if self.places.acquire(blocking=False):
                super().process_request(request, client_address)
            else:
                self.shutdown_request(request)

        def process_request_thread(self, request: Any, client_address: Any) -> None:
            try:
                super().process_request_thread(request, client_address)
            finally:
                self.places.release()

    return Server


class _Handler(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, Callable[[], _Answer]]]
    timeout = REQUEST_TIMEOUT_S
    server_version = "onconode"
    sys_version = ""

    def do_GET(self) -> None:
        answer = self.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        status, kind, body = answer()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: a probe comes every few seconds."""
