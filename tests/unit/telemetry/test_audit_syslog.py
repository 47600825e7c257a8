"""Audit messages reach a repository by syslog over TLS, whole, in order, and after every break."""

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from certificates import make_authority

from node.config.settings import AuditSettings
from node.domain.errors import SetupFault
from node.telemetry.audit.chain import AuditChain
from node.telemetry.audit.syslog import (
    SyslogForwarder,
    encode_syslog,
    frame,
    read_cursor,
    tls_context,
)

AT = datetime(2025, 3, 1, 12, tzinfo=UTC)
WAIT_S = 30.0
RFC5424 = re.compile(
    rb'<85>1 (\S+) (\S+) onconode (\S+) DICOM\+RFC3881 \[chain@32473 number="(\d+)" '
    rb'sha256="([0-9a-f]{64})"\] \xef\xbb\xbf(<AuditMessage.*)'
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, with its key in the same file; its authority is beside it."""
    authority = make_authority(tmp_path_factory.mktemp("tls"))
    issued, key = authority.issue("repository")
    both = authority.folder / "both.pem"
    both.write_bytes(issued.read_bytes() + key.read_bytes())
    return both


class Repository:
    """Takes syslog frames over TLS; may hang up after some of them."""

    def __init__(self, certificate: Path, port: int = 0, *, clients_by: Path | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if clients_by is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(clients_by)
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.messages: list[bytes] = []
        self.hang_up_after = 10**9
        self.answers_to_the_end = True
        self.broken = 0
        """Connections that came to no handshake, or did not end as they should."""
        self._connections: list[ssl.SSLSocket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    self._connections.append(connection)
                    self._read(connection)
                    if self.answers_to_the_end:
                        with contextlib.suppress(ValueError):  # closed meanwhile, by this end
                            connection.unwrap()
            except OSError:
                self.broken += 1

    def _read(self, connection: ssl.SSLSocket) -> None:
        with connection.makefile("rb") as stream:
            while True:
                length = b""
                while (byte := stream.read(1)) not in (b" ", b""):
                    length += byte
                if not length:
                    return
                self.messages.append(stream.read(int(length)))
                if len(self.messages) >= self.hang_up_after:
                    self.hang_up_after = 10**9
                    return

    def numbers(self) -> list[int]:
        found = [RFC5424.fullmatch(message) for message in list(self.messages)]
        assert all(found), self.messages
        return [int(match[4]) for match in found if match]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # or a thread would go on to accept
        self._socket.close()
        for connection in self._connections:
            connection.close()


def wait_for(fact: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT_S
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.02)


def write(folder: Path, count: int, *, maximum_file_bytes: int = 1 << 20) -> None:
    chain = AuditChain(folder, maximum_file_bytes=maximum_file_bytes)
    for i in range(count):
        chain.append(f'<AuditMessage n="{i}">ü</AuditMessage>', at=AT)


def settings(certificate: Path, port: int) -> AuditSettings:
    return AuditSettings(
        syslog_host="127.0.0.1",
        syslog_port=port,
        syslog_ca_file=str(certificate.with_name("authority.pem")),
    )


@pytest.fixture
def forward(certificate, monkeypatch):
    monkeypatch.setattr("node.telemetry.audit.syslog.FIRST_WAIT_S", 0.05)
    monkeypatch.setattr("node.telemetry.audit.syslog.LOOK_EVERY_S", 0.05)
    started = []

    def start(folder: Path, port: int, **more: str) -> SyslogForwarder:
        chosen = settings(certificate, port).model_copy(update=more)
        forwarder = SyslogForwarder(folder, chosen, tls_context(chosen))
        forwarder.start()
        started.append(forwarder)
        return forwarder

    yield start
    for forwarder in started:
        forwarder.stop()


def test_frame_counts_bytes_not_characters():
    record = {"at": AT.isoformat(), "number": 7, "sha256": "0" * 64, "xml": "<AuditMessage>ü"}
    message = encode_syslog(record, host="node", process_id="12")
    match = RFC5424.fullmatch(message)
    assert match
    assert match[1] == b"2025-03-01T12:00:00+00:00"
    assert frame(message) == str(len(message)).encode() + b" " + message


def test_records_of_all_files_arrive_in_order_and_new_ones_follow(tmp_path, certificate, forward):
    repository = Repository(certificate)
    write(tmp_path, 6, maximum_file_bytes=500)
    forwarder = forward(tmp_path, repository.port)
    wait_for(lambda: len(repository.messages) == 6)
    write(tmp_path, 3, maximum_file_bytes=500)
    wait_for(lambda: len(repository.messages) == 9)
    assert repository.numbers() == list(range(1, 10))
    wait_for(lambda: forwarder.unsent_bytes() == 0)
    forwarder.stop()
    forward(tmp_path, repository.port)  # a restart sends nothing again
    write(tmp_path, 1)
    wait_for(lambda: len(repository.messages) == 10)
    assert repository.numbers()[-1] == 10
    repository.close()


def test_after_an_end_without_answer_the_last_messages_go_again(tmp_path, certificate, forward):
    """Those of earlier files too; a repository may get a message twice, and never not at all."""
    repository = Repository(certificate)
    repository.answers_to_the_end = False
    write(tmp_path, 6, maximum_file_bytes=500)
    first = forward(tmp_path, repository.port)
    wait_for(lambda: len(repository.messages) == 6)
    first.stop()
    assert not read_cursor(tmp_path).received
    write(tmp_path, 1)
    forward(tmp_path, repository.port)
    wait_for(lambda: len(repository.messages) == 13)
    assert repository.numbers() == [*range(1, 7), *range(1, 8)]
    repository.close()


def test_what_waits_while_the_repository_is_away_arrives_when_it_is_back(
    tmp_path, certificate, forward
):
    first = Repository(certificate)
    port = first.port
    first.close()
    write(tmp_path, 4)
    forwarder = forward(tmp_path, port)
    assert forwarder.unsent_bytes() > 0
    write(tmp_path, 1)  # nobody waits
    repository = Repository(certificate, port)
    wait_for(lambda: len(repository.messages) == 5)
    assert repository.numbers() == [1, 2, 3, 4, 5]
    repository.close()


def test_a_connection_that_breaks_doubles_some_and_loses_none(tmp_path, certificate, forward):
    repository = Repository(certificate)
    repository.hang_up_after = 3
    write(tmp_path, 8)
    forward(tmp_path, repository.port)
    wait_for(lambda: set(range(1, 9)) <= set(repository.numbers()))
    write(tmp_path, 2)
    wait_for(lambda: {9, 10} <= set(repository.numbers()))
    repository.close()


@pytest.mark.parametrize("is_one_file", [True, False])
def test_a_repository_that_wants_to_know_its_clients_knows_the_node(
    tmp_path, certificate, forward, is_one_file
):
    authority = make_authority(tmp_path / "nodes", "nodes")
    issued, key = authority.issue("node")
    own = {"syslog_certificate_file": str(issued), "syslog_key_file": str(key)}
    if is_one_file:
        issued.write_bytes(issued.read_bytes() + key.read_bytes())
        del own["syslog_key_file"]
    repository = Repository(certificate, clients_by=authority.ca)
    write(tmp_path / "audit", 2)
    unknown = forward(tmp_path / "audit", repository.port)
    wait_for(lambda: repository.broken >= 2)
    unknown.stop()
    assert repository.messages == []
    forward(tmp_path / "audit", repository.port, **own)
    wait_for(lambda: repository.numbers() == [1, 2])
    repository.close()


def test_a_repository_that_nobody_vouches_for_gets_nothing(tmp_path, certificate, monkeypatch):
    monkeypatch.setattr("node.telemetry.audit.syslog.FIRST_WAIT_S", 0.05)
    repository = Repository(certificate)
    write(tmp_path, 1)
    chosen = AuditSettings(syslog_host="127.0.0.1", syslog_port=repository.port)
    forwarder = SyslogForwarder(tmp_path, chosen, tls_context(chosen))
    forwarder.start()
    wait_for(lambda: repository.broken >= 2)
    forwarder.stop()
    assert repository.messages == []
    assert read_cursor(tmp_path).offset == 0
    repository.close()


def test_certificate_that_cannot_be_read_is_a_fault_of_the_set_up(tmp_path):
    chosen = AuditSettings(syslog_host="x", syslog_ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(SetupFault):
        tls_context(chosen)
