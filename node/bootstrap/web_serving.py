"""The web process: the page with what it is given of the node."""

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from functools import partial

import structlog
import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from node.bootstrap.asking import archive_of, fetch_to_node, hand_to_node
from node.bootstrap.auditing import open_trail, share_of
from node.bootstrap.certificates import list_certificates
from node.bootstrap.doctor.clocks import check_own_clock
from node.bootstrap.doctor.sheet import Mark
from node.bootstrap.health import look_whether_ready
from node.bootstrap.metrics import NodeCollector, living_processes
from node.bootstrap.parts import Parts
from node.bootstrap.purging import disk_room
from node.bootstrap.web_connections import PunctualProtocol
from node.config.settings import WebSettings
from node.domain.errors import SetupFault
from node.storage.accounts import AccountStore
from node.storage.clock import utc_now
from node.telemetry.audit.events import StudyShare
from node.telemetry.audit.trail import AuditTrail
from node.web.app import create_app
from node.web.gate import session_times
from node.web.logging_in import WINDOW
from node.web.services import Services

log = structlog.get_logger()

DRAIN_S = 3
MAXIMUM_CONNECTIONS = 256
TIDY_EVERY_S = 600.0


def open_services(parts: Parts) -> Services:
    """Return what the page is given of a node."""
    trail = open_trail(parts, "web")
    collector = NodeCollector(parts)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    collector.follow()
    return Services(
        settings=lambda: parts.settings,
        engine=parts.engine,
        ledger=parts.ledger,
        store=parts.store,
        associations=parts.associations,
        spool=parts.spool,
        models=parts.models,
        accounts=AccountStore(parts.engine),
        trail=trail,
        share=partial(_share, parts, trail),
        disk=lambda: disk_room(parts),
        processes=lambda: living_processes(parts),
        certificates=lambda: _certificates(parts),
        clock_fault=_clock_fault,
        readiness=lambda: _readiness(parts),
        metrics=lambda: generate_latest(registry),
        now=utc_now,
        archive=lambda peer: archive_of(parts.settings, peer),
        fetch=lambda peer, wanted, by_get: fetch_to_node(
            parts.settings, peer, wanted, by_get=by_get
        ),
        hand_in=lambda paths, sender: hand_to_node(parts.settings, paths, calling_ae_title=sender),
    )


class WebService:
    """The page on its port.

    Parameters
    ----------
    parts : Parts

    Raises
    ------
    SetupFault
        The port cannot be bound, or the certificate cannot be used.
    """

    def __init__(self, parts: Parts) -> None:
        self._web = parts.settings.node.web
        self._socket = _bind(self._web)
        self._services = open_services(parts)
        app = create_app(self._services)
        self._server = uvicorn.Server(_configuration(self._web, app))
        app.state.is_stopping = lambda: self._server.should_exit

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        stopped = threading.Event()
        threading.Thread(target=self._tidy, args=(stopped,), name="tidy", daemon=True).start()
        log.info("web.started", address=self._web.address, port=self._web.port)
        self._server.run(sockets=[self._socket])
        stopped.set()

    def stop(self) -> None:
        """Serve no more; from any thread."""
        self._server.should_exit = True

    def _tidy(self, stopped: threading.Event) -> None:
        while True:
            times = session_times(self._web)
            try:
                self._services.accounts.forget_ended(**times, failures=WINDOW)
            except SQLAlchemyError as error:  # they are no sessions any more, whoever keeps them
                log.warning("web.no_database", error=type(error).__name__)
            if stopped.wait(TIDY_EVERY_S):
                return


def _bind(web: WebSettings) -> socket.socket:
    try:
        family, *_ = socket.getaddrinfo(web.address, web.port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((web.address, web.port), family=family, backlog=64)
    except OSError as error:
        raise SetupFault(
            f"the page cannot listen on {web.address} port {web.port}: {error.strerror or error}; "
            "set another web.port in node.yaml, or web.enabled to false"
        ) from error


def _configuration(web: WebSettings, app: FastAPI) -> uvicorn.Config:
    configuration = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,  # paths hold UIDs; what people do is in the audit trail
        server_header=False,
        http=PunctualProtocol,
        proxy_headers=bool(web.trusted_proxies),
        forwarded_allow_ips=list(web.trusted_proxies),
        ssl_certfile=web.certificate_file or None,
        ssl_keyfile=web.key_file or None,
        limit_concurrency=MAXIMUM_CONNECTIONS,
        timeout_graceful_shutdown=DRAIN_S,
    )
    try:
        configuration.load()
    except (OSError, ssl.SSLError) as error:
        raise SetupFault(f"web.certificate_file cannot be used: {error}") from error
    if isinstance(configuration.ssl, ssl.SSLContext):
        configuration.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return configuration


def _share(parts: Parts, trail: AuditTrail, study_instance_uid: str) -> StudyShare:
    received = parts.store.received_of(study_instance_uid)
    counts = Counter(item.instance.sop_class_uid for item in received)
    sample = received[0].instance.path if received else None
    return share_of(trail, study_instance_uid, counts, sample)


def _certificates(parts: Parts) -> Mapping[str, datetime]:
    try:
        found = list_certificates(parts.settings)
    except SetupFault as fault:
        log.warning("web.certificates_not_read", reason=str(fault))
        return {}
    return {each.purpose: each.certificate.not_after for each in found}


def _clock_fault() -> str:
    line = check_own_clock()
    return "" if line.mark in (Mark.PASS, Mark.SKIP) else line.found


def _readiness(parts: Parts) -> Mapping[str, bool]:
    found = look_whether_ready(parts)
    return {"database": found.database, "disk": found.disk, "listener": found.listener}
