"""Peers that say nothing, half of something, or something else: each is cut, and it is told why."""

import socket
import threading
import time
from pathlib import Path

import pytest
from factories_receive import (
    RunningListener,
    associated,
    encode,
    listener_settings,
    make_ct,
    running_listener,
    send_bytes,
)
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import P_DATA

from node.receive.bounded_socket import MINIMUM_PDU_LIMIT_BYTES
from node.storage.associations import AssociationResult

ARTIM_S = 1.0
HALF_A_REQUEST = b"\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00ONCONODE"
FAILED, ABORTED = AssociationResult.FAILED, AssociationResult.ABORTED


def wait_for_end(client: socket.socket, *, timeout_s: float = 20) -> float:
    """Return after how many seconds the node ended the connection."""
    begun = time.monotonic()
    client.settimeout(timeout_s)
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - begun


def connect(running: RunningListener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", running.port), timeout=20)


@pytest.mark.parametrize("sent", [b"", b"\x01", HALF_A_REQUEST], ids=["nothing", "a byte", "half"])
def test_who_does_not_finish_a_request_is_cut_after_artim(tmp_path: Path, sent: bytes) -> None:
    settings = listener_settings(acse_timeout_s=ARTIM_S, network_timeout_s=300)
    with running_listener(tmp_path, settings=settings) as running:
        with connect(running) as client:
            client.sendall(sent)
            assert ARTIM_S / 2 < wait_for_end(client) < 15
        record = running.wait_for_record(FAILED)
    assert record.reason == "no association request within 1 s (ARTIM)"
    assert record.address == "127.0.0.1"
    assert record.ended_at is not None
    assert (record.ended_at - record.started_at).total_seconds() >= ARTIM_S - 0.1


def test_who_dribbles_is_cut_after_artim_all_the_same(tmp_path: Path) -> None:
    settings = listener_settings(acse_timeout_s=ARTIM_S, network_timeout_s=300)
    stop = threading.Event()
    with running_listener(tmp_path, settings=settings) as running, connect(running) as client:

        def dribble() -> None:
            try:
                for byte in HALF_A_REQUEST * 100:
                    client.send(bytes((byte,)))
                    if stop.wait(0.1):
                        return
            except OSError:  # the node has had enough
                return

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            assert wait_for_end(client) < 15
        finally:
            stop.set()
            thread.join()
        record = running.wait_for_record(FAILED)
    assert record.reason == "no association request within 1 s (ARTIM)"


def test_slow_peers_do_not_take_the_places_of_others(tmp_path: Path) -> None:
    settings = listener_settings(maximum_associations=2, acse_timeout_s=60)
    with running_listener(tmp_path, settings=settings) as running:
        slow = [connect(running) for _ in range(10)]
        try:
            with associated(running.port) as association:
                assert send_bytes(association, encode(make_ct())).Status == 0x0000
        finally:
            for client in slow:
                client.close()


def test_more_connections_than_could_be_associations_are_closed(tmp_path: Path) -> None:
    settings = listener_settings(maximum_associations=1, acse_timeout_s=60)
    most = 2 * 1 + 16
    with running_listener(tmp_path, settings=settings) as running:
        clients = [connect(running) for _ in range(most + 3)]
        try:
            assert wait_for_end(clients[-1]) < 15
            record = running.wait_for_record(FAILED)
            told = running.associations.list(refused=True)
        finally:
            for client in clients:
                client.close()
    assert record.reason == f"{most} connections are open, and no more are taken"
    assert record.address == "127.0.0.1"
    assert len(told) == 1, "of an address only once a minute"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: node\r\n\r\n", "this was HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "this was TLS, on the port without TLS"),
        (b"\xff" * 100, "the first bytes were no association request"),
        (b"\x04\x00\x00\x00\x00\x04\x00\x00\x00\x00", "no association request"),
    ],
    ids=["HTTP", "TLS", "noise", "P-DATA"],
)
def test_what_is_no_dicom_is_told(tmp_path: Path, sent: bytes, words: str) -> None:
    with running_listener(tmp_path, settings=listener_settings(acse_timeout_s=2)) as running:
        with connect(running) as client:
            client.sendall(sent)
            wait_for_end(client)
        assert words in running.wait_for_record(FAILED).reason


def test_a_health_check_that_only_connects_leaves_no_record(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running:
        connect(running).close()
        with associated(running.port):
            pass
        running.wait_for_record(AssociationResult.RELEASED)
        assert len(running.associations.list()) == 1


def test_who_stops_within_an_object_is_aborted_after_the_dimse_timeout(tmp_path: Path) -> None:
    settings = listener_settings(dimse_timeout_s=1, network_timeout_s=300)
    with running_listener(tmp_path, settings=settings) as running:
        with associated(running.port) as association:
            send_half_an_object(association)
            record = running.wait_for_record(ABORTED)
            assert association.is_aborted or not association.is_established
        assert not list(running.spool.incoming.iterdir())
    assert record.reason == "no rest of an object within 1 s"
    assert (record.objects_stored, record.objects_refused) == (0, 0)


def test_who_stops_within_a_pdu_is_given_up_after_the_network_timeout(tmp_path: Path) -> None:
    settings = listener_settings(network_timeout_s=1, dimse_timeout_s=300)
    with (
        running_listener(tmp_path, settings=settings) as running,
        associated(running.port) as association,
    ):
        association.dul.socket.send(b"\x04\x00\x00\x01\x00\x00half of it")
        record = running.wait_for_record(ABORTED)
    assert record.reason == "stalled within a PDU for 1 s"


def test_who_announces_a_pdu_beyond_the_limit_is_not_waited_for(tmp_path: Path) -> None:
    settings = listener_settings(network_timeout_s=300, dimse_timeout_s=300)
    most = MINIMUM_PDU_LIMIT_BYTES
    with running_listener(tmp_path, settings=settings) as running:
        for length, told in ((most, "the connection was lost"), (most + 1, "at most")):
            with associated(running.port, calling=f"L{length}") as association:
                association.dul.socket.send(b"\x04\x00" + length.to_bytes(4, "big"))
                if length == most:  # its end is awaited
                    assert association.is_established
                    association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
                record = running.wait_for_record(ABORTED, calling=f"L{length}")
            assert told in record.reason
    assert record.reason == f"a PDU of {most + 1} bytes, at most {most} are taken"


def test_an_idle_association_is_ended(tmp_path: Path) -> None:
    settings = listener_settings(network_timeout_s=1)
    with running_listener(tmp_path, settings=settings) as running, associated(running.port):
        record = running.wait_for_record(ABORTED)
    assert record.reason == "idle for 1 s"


def test_an_abort_of_the_peer_and_a_lost_connection_are_told_apart(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running:
        with associated(running.port, calling="ABORTS") as association:
            association.abort()
        aborted = running.wait_for_record(ABORTED, calling="ABORTS")
        with associated(running.port, calling="FALLS") as association:
            association.dul.socket.socket.shutdown(socket.SHUT_RDWR)
            lost = running.wait_for_record(ABORTED, calling="FALLS")
    assert aborted.reason == "the peer aborted"
    assert lost.reason == "the connection was lost"


def test_what_a_stop_of_the_node_ends_is_told(tmp_path: Path) -> None:
    with running_listener(tmp_path) as running, associated(running.port):
        running.listener.stop()
        assert running.wait_for_record(ABORTED).reason == "the node stopped"


def send_half_an_object(association: Association) -> None:
    """Send a C-STORE request and the first fragment of its data set."""
    context = association.accepted_contexts[0]
    elements = [
        (0x0002, context.abstract_syntax.encode() + b"\0"),
        (0x0100, b"\x01\x00"),
        (0x0110, b"\x01\x00"),
        (0x0800, b"\x01\x00"),
        (0x1000, b"1.2.3\0"),
    ]
    command = b"".join(
        b"\0\0" + tag.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value
        for tag, value in elements
    )
    for fragment in (b"\x03" + command, b"\x00" + encode(make_ct())[:100]):
        part = P_DATA()
        part.presentation_data_value_list.append((context.context_id, fragment))
        association.dul.send_pdu(part)
