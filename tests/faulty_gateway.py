"""A reverse proxy before a real DICOMweb server that does wrong what it is told to do wrong."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOT_PASSED_ON = frozenset(
    {"accept-encoding", "connection", "host", "keep-alive", "transfer-encoding"}
)
SOP_CLASS_NOT_SUPPORTED = 0x0122
PATIENCE_S = 60.0

Answer = tuple[int, str, bytes]
"""Status, media type and content."""


@dataclass(frozen=True, kw_only=True)
class WebFaults:
    """What becomes of a request to store.

    Parameters
    ----------
    status : int
        HTTP status that is answered in the place of the server; 0 for none.
    drop : bool
        The connection ends without an answer.
    keep : bool
        With ``drop``: the server has got the object.
    stall : bool
        Never answer.
    lose : bool
        The server answers, and then its object is deleted.
    refuse : str
        SOP class that is refused for good, by a failure in the answer (PS3.18 annex I.2).
    times : int
        How often; 0 for always.
    """

    status: int = 0
    drop: bool = False
    keep: bool = False
    stall: bool = False
    lose: bool = False
    refuse: str = ""
    times: int = 0


@dataclass
class Gateway:
    """The proxy; ``faults`` may be set while it runs, and it may be away for a while.

    Parameters
    ----------
    server_port : int
        Of the server on this host.
    port : int
        Its own.
    forget : callable
        Deletes what the server has got last.

    Attributes
    ----------
    taken : int
        Objects that the server has accepted.
    """

    server_port: int
    port: int
    forget: Callable[[], None]
    taken: int = 0
    _faults: WebFaults = field(default_factory=WebFaults)
    _left: int = 0
    _closing: threading.Event = field(default_factory=threading.Event)
    _httpd: ThreadingHTTPServer | None = None

    @property
    def faults(self) -> WebFaults:
        """What it does wrong from now on."""
        return self._faults

    @faults.setter
    def faults(self, faults: WebFaults) -> None:
        self._faults, self._left = faults, faults.times

    def start(self) -> None:
        """Listen."""
        self._closing.clear()
        self._httpd = ThreadingHTTPServer(
            ("127.0.0.1", self.port), type("Handler", (_Handler,), {"gateway": self})
        )
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Listen no more, and let go what stalls."""
        self._closing.set()
        if self._httpd is not None:
            self._httpd.shutdown()
            self._httpd.server_close()
            self._httpd = None

    def next_fault(self, content: bytes) -> WebFaults:
        """Return what to do with this object."""
        faults = self._faults
        if faults.refuse and faults.refuse.encode() not in content:
            return WebFaults()
        if faults.times:
            if not self._left:
                return WebFaults()
            self._left -= 1
        return faults

    def stall(self) -> None:
        """Wait until it is stopped."""
        self._closing.wait(PATIENCE_S)


@contextmanager
def running_gateway(
    server_port: int, *, port: int, forget: Callable[[], None]
) -> Iterator[Gateway]:
    """Run a gateway on a port of this host."""
    gateway = Gateway(server_port=server_port, port=port, forget=forget)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()


class _Handler(BaseHTTPRequestHandler):
    gateway: Gateway
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(*self._forward(b""))

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        fault = self.gateway.next_fault(content)
        if fault.stall:
            self.gateway.stall()
        elif fault.drop and fault.keep:
            self._store(content)
        elif fault.status:
            self._answer(fault.status, "text/plain", b"")
        elif fault.refuse:
            self._answer(409, "application/dicom+json", _refusal(fault.refuse))
        elif not fault.drop:
            answer = self._store(content)
            if fault.lose:
                self.gateway.forget()
            self._answer(*answer)
        self.close_connection = fault.stall or fault.drop

    def _store(self, content: bytes) -> Answer:
        answer = self._forward(content)
        self.gateway.taken += answer[0] == HTTPStatus.OK
        return answer

    def _forward(self, content: bytes) -> Answer:
        server = http.client.HTTPConnection("127.0.0.1", self.gateway.server_port, timeout=30)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in NOT_PASSED_ON}
            server.request(self.command, self.path, content or None, headers)
            answer = server.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read()
        finally:
            server.close()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _refusal(sop_class: str) -> bytes:
    failure = {
        "00081150": {"vr": "UI", "Value": [sop_class]},
        "00081197": {"vr": "US", "Value": [SOP_CLASS_NOT_SUPPORTED]},
    }
    return json.dumps({"00081198": {"vr": "SQ", "Value": [failure]}}).encode()
