"""Whether the node could take a study now, for load balancers and orchestrators."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from node.bootstrap.parts import Parts
from node.bootstrap.purging import disk_room
from node.domain.errors import OncoNodeError

log = structlog.get_logger()

LISTENER_TIMEOUT_S = 2.0
DATABASE_TIMEOUT_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What a look at the node found.

    Parameters
    ----------
    database, disk, listener : bool
        The database answers; the disk is above the hard mark; the listener reacts.
    """

    database: bool
    disk: bool
    listener: bool

    @property
    def is_ready(self) -> bool:
        """All of them."""
        return self.database and self.disk and self.listener


def look_whether_ready(parts: Parts) -> Readiness:
    """Look at database, disk and listener; takes a few seconds at most."""
    return Readiness(
        database=_within(DATABASE_TIMEOUT_S, lambda: _asks_database(parts)),
        disk=_has_room(parts),
        listener=_listener_reacts(parts),
    )


def _asks_database(parts: Parts) -> bool:
    try:
        with parts.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except (SQLAlchemyError, OncoNodeError, OSError) as error:
        log.warning("ready.no_database", error=type(error).__name__)
        return False
    return True


def _within(timeout_s: float, ask: Callable[[], bool]) -> bool:
    """Ask in a thread: a database server that is gone may let a connection wait for minutes."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return bool(answers) and answers[0]


def _has_room(parts: Parts) -> bool:
    try:
        return not disk_room(parts).is_below_hard_mark()
    except OSError:
        return False


def _listener_reacts(parts: Parts) -> bool:
    """Connect, say nothing, hang up, and wait for the listener to hang up as well.

    The kernel accepts connections also for a process that hangs; that the other end is closed
    shows that it does not. No association is asked for, so nothing is recorded.
    """
    node = parts.settings.node
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(node.bind_address, node.bind_address)  # noqa: S104 - compared with, nothing binds here
    only_tls = node.tls.is_listening and node.tls.listen == "only"
    port = node.tls.port if only_tls else node.port
    if port == 0:
        return True  # the system chose one, and nobody outside knows it
    try:
        with socket.create_connection((host, port), timeout=LISTENER_TIMEOUT_S) as connection:
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    except OSError:
        return False
    return True
