"""Audit messages to a repository by syslog over TLS.

The trail itself is the queue: a cursor beside it says how far the repository has got, so what
waits takes no disk of its own, survives every crash, and is bounded only by the trail. Nothing
waits for the repository. TLS gives no receipt for a message, only for all of them when both sides
close: after any other end what was written last is sent again (PS3.15 A.6 allows a repository to
get a message twice), and this end keeps little in its socket.

References
----------
PS3.15 A.6 (audit trail message transmission profile, syslog-TLS), RFC 5424, RFC 5425.
"""

import json
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from node.config.settings import AuditSettings
from node.domain.errors import SetupFault
from node.durable import PRIVATE_FILE
from node.telemetry.audit.chain import (
    NEWLINE,
    list_files,
    open_record,
)

log = structlog.get_logger()

FACILITY_AUTHPRIV = 10
SEVERITY_NOTICE = 5
PRIORITY = FACILITY_AUTHPRIV * 8 + SEVERITY_NOTICE
MESSAGE_ID = "DICOM+RFC3881"  # PS3.15 A.6
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

CURSOR = "syslog.json"
CONNECT_TIMEOUT_S = 10.0
LOOK_EVERY_S = 1.0
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
RESENT_BYTES = 1 << 20
"""So much of what was written last is sent again after a connection broke: more than this end and
the other one usually hold unread."""
SEND_BUFFER_BYTES = 1 << 14
"""Of the socket; Linux doubles it."""
REFUSAL_WITHIN_S = 1.0
"""In TLS 1.3 a client's handshake ends before the repository has looked at its certificate, and
what is written then is lost if that is refused; so the first message waits for a refusal."""


PART_WITHIN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Cursor:
    """How far the repository has got: a file of the trail, and the bytes of it.

    ``received`` says that the repository has closed the connection behind it, too.
    """

    file: str = ""
    offset: int = 0
    received: bool = False


def encode_syslog(record: dict[str, Any], *, host: str, process_id: str = "-") -> bytes:
    """Return a record as RFC 5424 message; number and digest go along as an anchor.

    Parameters
    ----------
    record : dict
        From ``open_record``.
    host : str
    process_id : str
    """
    element = f'[chain@32473 number="{record["number"]}" sha256="{record["sha256"]}"]'
    header = f"<{PRIORITY}>1 {record['at']} {host} onconode {process_id} {MESSAGE_ID} {element} "
    return header.encode("ascii", "replace") + BYTE_ORDER_MARK + record["xml"].encode()


def frame(message: bytes) -> bytes:
    """Return a message with its length before it (RFC 5425 section 4.3)."""
    return str(len(message)).encode() + b" " + message


def tls_context(settings: AuditSettings) -> ssl.SSLContext:
    """Return the client's side: TLS 1.2 or later, the repository's name is checked.

    Raises
    ------
    SetupFault
        A certificate or key cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=settings.syslog_ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Python 3.13 would refuse authorities without all extensions of RFC 5280, as hospitals
        # have them; 3.11 and 3.12 would not, nor does DICOM over TLS (node.dicom.tls).
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if settings.syslog_certificate_file:
            context.load_cert_chain(
                settings.syslog_certificate_file, settings.syslog_key_file or None
            )
    except (OSError, ssl.SSLError) as error:
        raise SetupFault(f"audit.syslog_*: a certificate or key cannot be used: {error}") from error
    return context


class SyslogForwarder:
    """Sends the records of a trail in a thread of its own.

    Parameters
    ----------
    folder : Path
        Of the trail.
    settings : AuditSettings
    context : SSLContext
    """

    def __init__(self, folder: Path, settings: AuditSettings, context: ssl.SSLContext) -> None:
        self._folder = folder
        self._settings = settings
        self._context = context
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="syslog", daemon=True)
        known = read_cursor(folder)
        self._cursor = known if known.received else _rewound(folder, known)
        self._connection: ssl.SSLSocket | None = None

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """End; what is left goes at the next start."""
        self._stopped.set()
        self._thread.join(timeout_s)

    def unsent_bytes(self) -> int:
        """Return how much of the trail the repository has not got."""
        return sum(size - begin for _, begin, size in self._pending_files())

    def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopped.is_set():
            try:
                self._send_new()
            except (OSError, ssl.SSLError) as error:
                self._hang_up()
                log.warning(
                    "audit.syslog_unreachable",
                    error=type(error).__name__,
                    detail=str(error),
                    again_in_s=wait_s,
                )
                self._stopped.wait(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            else:
                wait_s = FIRST_WAIT_S
                self._stopped.wait(LOOK_EVERY_S)
        self._part()

    def _send_new(self) -> None:
        for path, begin, _ in self._pending_files():
            for record, end in _records(path, begin):
                if self._stopped.is_set():
                    return
                self._send(record)
                self._cursor = Cursor(file=path.name, offset=end)
            write_cursor(self._folder, self._cursor)
        if self._connection is not None:
            self._check_connection()

    def _pending_files(self) -> Iterator[tuple[Path, int, int]]:
        """Yield the files with something unsent, where it begins, and their sizes."""
        for path in list_files(self._folder):
            size = path.stat().st_size
            if path.name < self._cursor.file:
                continue
            begin = self._cursor.offset if path.name == self._cursor.file else 0
            if size > begin:
                yield path, begin, size

    def _send(self, record: dict[str, Any]) -> None:
        if self._connection is None:
            self._connection = self._connect()
        message = encode_syslog(record, host=socket.gethostname(), process_id=str(os.getpid()))
        self._connection.sendall(frame(message))

    def _connect(self) -> ssl.SSLSocket:
        address = (self._settings.syslog_host, self._settings.syslog_port)
        plain = socket.create_connection(address, timeout=CONNECT_TIMEOUT_S)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            secured = self._context.wrap_socket(plain, server_hostname=self._settings.syslog_host)
        except BaseException:
            plain.close()
            raise
        try:
            _await_refusal(secured, REFUSAL_WITHIN_S)
        except BaseException:
            secured.close()
            raise
        log.info("audit.syslog_connected", host=address[0], port=address[1])
        return secured

    def _check_connection(self) -> None:
        """Find out whether the repository has hung up: a syslog server never says anything."""
        assert self._connection is not None
        _await_refusal(self._connection, 0.0)

    def _part(self) -> None:
        """Close as TLS asks for: who answers to that has read everything before."""
        if self._connection is None:
            return
        try:
            self._check_connection()  # one that has ended already says nothing of what came last
            self._connection.settimeout(PART_WITHIN_S)
            self._connection.unwrap().close()
        except (OSError, ValueError):
            self._hang_up()
        else:
            self._connection = None
            write_cursor(self._folder, replace(self._cursor, received=True))

    def _hang_up(self) -> None:
        if self._connection is None:
            return
        self._connection.close()
        self._connection = None
        self._cursor = _rewound(self._folder, self._cursor)


def _await_refusal(connection: ssl.SSLSocket, within_s: float) -> None:
    """Read, for a while: what a repository says, if it says anything, is that it is over."""
    connection.settimeout(within_s)
    try:
        if connection.recv(1) == b"":
            raise ConnectionResetError("the repository has hung up")
    except (ssl.SSLWantReadError, BlockingIOError, TimeoutError):
        pass
    finally:
        connection.settimeout(CONNECT_TIMEOUT_S)


def _rewound(folder: Path, cursor: Cursor) -> Cursor:
    """Before what was written last: it may never have come out at the other end."""
    left, end = RESENT_BYTES, cursor.offset
    for path in reversed([path for path in list_files(folder) if path.name <= cursor.file]):
        end = end if path.name == cursor.file else path.stat().st_size
        if end >= left:
            return Cursor(file=path.name, offset=_line_start(path, end - left))
        left -= end
    return Cursor()


def read_cursor(folder: Path) -> Cursor:
    """Return how far the repository has got; nowhere if that cannot be read."""
    try:
        fields = json.loads((folder / CURSOR).read_bytes())
        return Cursor(
            file=str(fields["file"]),
            offset=int(fields["offset"]),
            received=fields.get("received") is True,
        )
    except (OSError, KeyError, TypeError, ValueError):
        return Cursor()


def write_cursor(folder: Path, cursor: Cursor) -> None:
    """Keep how far the repository has got."""
    fresh = folder / f".{CURSOR}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, PRIVATE_FILE)
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(cursor), file)
    fresh.replace(folder / CURSOR)


def _records(path: Path, begin: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield the whole records from a place on, each with the place behind it."""
    with path.open("rb") as file:
        file.seek(begin)
        end = begin
        for line in file:
            if not line.endswith(NEWLINE):
                return  # being written
            end += len(line)
            try:
                yield open_record(line.removesuffix(NEWLINE)), end
            except ValueError:
                continue  # cut short by a crash; the chain tells of it


def _line_start(path: Path, offset: int) -> int:
    """Return where the line begins that a place lies in."""
    if offset == 0 or not path.is_file():
        return 0
    with path.open("rb") as file:
        file.seek(offset)
        file.readline()
        return file.tell()
