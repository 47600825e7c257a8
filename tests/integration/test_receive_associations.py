"""Who may associate, how many at once, how the listener starts and stops."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from factories_receive import (
    associated,
    encode,
    listener_settings,
    make_ct,
    running_listener,
    send_bytes,
    wait_until,
)
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from structlog.testing import LogCapture

from node.config.settings import Peer
from node.domain.errors import SetupFault
from node.receive.contexts import storage_classes
from node.receive.scp import Listener
from node.storage.database import open_database, sqlite_url
from node.storage.instances import InstanceStore
from node.storage.spool import Spool

PEERS = (Peer(name="ct", ae_title="CT1"), Peer(name="mr", ae_title="MR1"))


@pytest.fixture
def logged() -> Iterator[list[dict[str, object]]]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture], cache_logger_on_first_use=False)
    yield capture.entries
    structlog.configure(**before)


def test_another_called_ae_title_is_rejected_and_logged(
    tmp_path: Path, logged: list[dict[str, object]]
) -> None:
    with running_listener(tmp_path) as running:
        with associated(running.port, called="OTHER") as association:
            assert association.is_rejected
            assert association.acceptor.primitive.result_source == 0x01
            assert association.acceptor.primitive.diagnostic == 0x07
        wait_until(lambda: any(entry["event"] == "association.rejected" for entry in logged))
    (entry,) = [entry for entry in logged if entry["event"] == "association.rejected"]
    assert entry["calling_ae_title"] == "TESTSCU"
    assert "called AE title 'OTHER' is not the node's: ONCONODE" in str(entry["reason"])


def test_refused_contexts_are_logged(tmp_path: Path, logged: list[dict[str, object]]) -> None:
    unsupported = (CTImageStorage, ("1.2.840.10008.1.2.4.100",))
    with running_listener(tmp_path) as running, associated(running.port, unsupported):
        wait_until(lambda: any(entry["event"] == "association.accepted" for entry in logged))
    (entry,) = [entry for entry in logged if entry["event"] == "association.contexts_refused"]
    assert entry["sop_class_uids"] == [CTImageStorage]


def test_unknown_peers_may_be_kept_out(tmp_path: Path) -> None:
    settings = listener_settings().model_copy(update={"accept_unknown_peers": False})
    with running_listener(tmp_path, settings=settings, peers=PEERS) as running:
        with associated(running.port, calling="STRANGER") as association:
            assert association.is_rejected
            assert association.acceptor.primitive.diagnostic == 0x03
        with associated(running.port, calling="MR1") as association:
            assert association.is_established


def test_nobody_could_send_is_a_setup_fault(tmp_path: Path) -> None:
    settings = listener_settings().model_copy(update={"accept_unknown_peers": False})
    with (
        pytest.raises(SetupFault, match="accept_unknown_peers"),
        running_listener(tmp_path, settings=settings),
    ):
        pass


def test_odd_calling_ae_titles_are_welcome(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running:
        for title in ("ct 1 (new)", "a", "X" * 16, "CT_1-ÄÖ".encode("ascii", "replace").decode()):
            with associated(running.port, calling=title) as association:
                assert send_bytes(association, encode(make_ct())).Status == 0x0000
        received = running.store.received_of(str(make_ct().StudyInstanceUID))
    assert received[0].calling_ae_title == "ct 1 (new)"


def test_more_associations_than_allowed_are_rejected_for_now(tmp_path: Path) -> None:
    settings = listener_settings(maximum_associations=2)
    with running_listener(tmp_path, settings=settings) as running:
        port = running.port
        with associated(port), associated(port), associated(port) as third:
            assert third.is_rejected
            assert third.acceptor.primitive.result == 0x02, "transient"
            assert third.acceptor.primitive.diagnostic == 0x02, "local limit exceeded"
        wait_until(lambda: threading.active_count() < 20)
        with associated(running.port) as again:
            assert again.is_established


def test_bare_connections_free_their_place_at_once(tmp_path: Path) -> None:
    settings = listener_settings(maximum_associations=2, acse_timeout_s=600)
    with running_listener(tmp_path, settings=settings) as running:

        def is_welcome() -> bool:
            with associated(running.port) as association:
                return bool(association.is_established)

        for _ in range(20):
            socket.create_connection(("127.0.0.1", running.port)).close()
        wait_until(is_welcome)  # and not after the 600 s that each might have waited


def test_every_storage_class_can_be_proposed(tmp_path: Path) -> None:
    classes = storage_classes()
    with running_listener(tmp_path) as running:
        for begin in range(0, len(classes), 128):
            chunk = [(uid, (ExplicitVRLittleEndian,)) for uid in classes[begin : begin + 128]]
            with associated(running.port, *chunk) as association:
                assert len(association.accepted_contexts) == len(chunk)
                assert association.rejected_contexts == []


def test_uncompressed_is_chosen_where_the_sender_leaves_the_choice(tmp_path: Path) -> None:
    syntaxes = ("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2", ExplicitVRLittleEndian)
    with (
        running_listener(tmp_path) as running,
        associated(running.port, (CTImageStorage, syntaxes)) as association,
    ):
        assert association.accepted_contexts[0].transfer_syntax == [ExplicitVRLittleEndian]


def test_a_port_in_use_is_a_setup_fault_with_a_remedy(tmp_path: Path) -> None:
    with running_listener(tmp_path / "first") as running:
        settings = listener_settings().model_copy(update={"port": running.port})
        second = Listener(
            settings=settings,
            peers=(),
            store=InstanceStore(open_database(sqlite_url(tmp_path / "second"))),
            spool=Spool(tmp_path / "second" / "spool"),
        )
        with pytest.raises(SetupFault) as fault:
            second.start()
        assert f"port {running.port}" in str(fault.value)
        assert "in use" in str(fault.value)
        second.stop()


def test_stop_ends_associations_and_frees_the_port(tmp_path: Path) -> None:
    threads_before = set(threading.enumerate())
    with running_listener(tmp_path) as running:
        port = running.port
        with associated(port) as association:
            server = running.listener._servers["plain"]
            idle = socket.create_connection(("127.0.0.1", port))
            wait_until(lambda: len(server.active_associations) == 2)
            running.listener.stop()
            wait_until(lambda: association.is_aborted)
        assert idle.recv(100) == b""
        idle.close()
        running.listener.stop()  # a second time is nothing
        wait_until(lambda: set(threading.enumerate()) <= threads_before)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


def test_stop_lets_a_running_association_finish_if_given_time(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running, associated(running.port) as association:
        stopping = threading.Thread(target=running.listener.stop, kwargs={"drain_s": 20})
        stopping.start()
        assert send_bytes(association, encode(make_ct())).Status == 0x0000
        association.release()
        stopping.join(10)
        assert not stopping.is_alive()
        assert association.is_released


def test_a_peer_that_stalls_in_a_pdu_is_given_up(tmp_path: Path) -> None:
    settings = listener_settings(network_timeout_s=0.5)
    with running_listener(tmp_path, settings=settings) as running:
        with associated(running.port) as association:
            association.dul.socket.send(b"\x04\x00\x00\x01\x00\x00half of it")
            wait_until(lambda: not association.is_established)
        server = running.listener._servers["plain"]
        wait_until(lambda: not server.active_associations)
