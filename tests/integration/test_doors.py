"""Every refusal of the listener, seen by a real client and told by the record of it."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from factories_receive import (
    associated,
    encode,
    listener_settings,
    make_ct,
    run_dcmtk,
    running_listener,
    send_bytes,
    storescu,
    wait_until,
    write_file,
)
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from typer.testing import CliRunner

from node.cli.app import app
from node.config.settings import NodeSettings, Peer
from node.receive.admission import LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION
from node.receive.scp import Listener
from node.storage.associations import AssociationResult

REJECTED, FAILED = AssociationResult.REJECTED, AssociationResult.FAILED
ELSEWHERE = ("192.0.2.0/24",)


def make_settings(*, accept_unknown_peers: bool = True, **receive: Any) -> NodeSettings:
    settings = listener_settings(**receive)
    return settings.model_copy(update={"accept_unknown_peers": accept_unknown_peers})


@pytest.mark.parametrize(
    ("settings", "peers", "options", "answer", "words"),
    [
        (
            make_settings(),
            (),
            ("-aec", "OTHER"),
            ("Called AE Title Not Recognized", "1/1/7"),
            "called AE title 'OTHER' is not the node's",
        ),
        (
            make_settings(accept_unknown_peers=False),
            (Peer(name="ct", ae_title="CT1"),),
            ("-aet", "STRANGER"),
            ("Calling AE Title Not Recognized", "1/1/3"),
            "'STRANGER' is not in peers.yaml",
        ),
        (
            make_settings(),
            (Peer(name="ct", ae_title="CT1", allowed_addresses=ELSEWHERE),),
            ("-aet", "CT1"),
            ("Calling AE Title Not Recognized", "1/1/3"),
            "127.0.0.1 is not within allowed_addresses of ct",
        ),
        (
            make_settings(allowed_addresses=ELSEWHERE),
            (),
            ("-aet", "CT1"),
            ("No Reason", "1/1/1"),
            "127.0.0.1 is not within receive.allowed_addresses",
        ),
    ],
)
def test_echoscu_is_told_and_the_reason_is_recorded(  # noqa: PLR0917 - columns of the table
    tmp_path: Path,
    settings: NodeSettings,
    peers: tuple[Peer, ...],
    options: tuple[str, ...],
    answer: tuple[str, str],
    words: str,
) -> None:
    told, code = answer
    titles = options if "-aec" in options else ("-aec", "ONCONODE", *options)
    with running_listener(tmp_path, settings=settings, peers=peers) as running:
        result = run_dcmtk("echoscu", "-v", *titles, "127.0.0.1", running.port, check=False)
        assert result.returncode != 0
        assert told in result.stdout
        record = running.wait_for_record(REJECTED)
    assert record.rejection == code
    assert words in record.reason
    assert (record.address, record.port) == ("127.0.0.1", running.port or record.port)
    assert record.calling_ae_title == (options[1] if "-aet" in options else "ECHOSCU")
    assert (record.tls, record.accepted, record.objects_stored) == ("", {}, 0)


def test_limit_of_a_peer_and_limit_of_the_node(tmp_path: Path) -> None:
    peers = (Peer(name="ct", ae_title="CT1", maximum_associations=1),)
    settings = make_settings(maximum_associations=2)
    with running_listener(tmp_path, settings=settings, peers=peers) as running:

        def echo(title: str) -> str:
            return run_dcmtk(
                "echoscu", "-v", "-aec", "ONCONODE", "-aet", title, "127.0.0.1", running.port,
                check=False,
            ).stdout  # fmt: skip

        with associated(running.port, calling="CT1"):
            assert "Local Limit Exceeded" in echo("CT1")
            of_peer = running.wait_for_record(REJECTED, calling="CT1")
            assert "Received Echo Response" in echo("MR1")
            with associated(running.port, calling="MR1"):
                assert running.listener.open_associations == {"ct": 1, "": 1}
                assert "Local Limit Exceeded" in echo("MR2")
                of_node = running.wait_for_record(REJECTED, calling="MR2")
        assert "Received Echo Response" in echo("CT1")
    code = "/".join(map(str, LOCAL_LIMIT_EXCEEDED))
    assert (of_peer.rejection, of_peer.peer) == (code, "")
    assert "1 associations of ct are open" in of_peer.reason
    assert of_node.rejection == code
    assert "2 associations are open" in of_node.reason


def test_a_closed_node_says_temporary_congestion(tmp_path: Path) -> None:
    path = write_file(tmp_path / "1.dcm", make_ct())
    with running_listener(tmp_path) as running:
        closed = ["the disk is nearly full"]
        second = Listener(
            settings=listener_settings(),
            peers=(),
            store=running.store,
            spool=running.spool,
            closed=lambda: closed[0],
        )
        second.start()
        try:
            run_dcmtk("echoscu", "-aec", "ONCONODE", "127.0.0.1", second.port)
            assert "Temporary Congestion" in storescu(second.port, path, check=False).stdout
            closed[0] = ""
            storescu(second.port, path)
        finally:
            second.stop()
    assert TEMPORARY_CONGESTION == (2, 3, 1)


def request_with(change: bytes, instead: bytes) -> bytes:
    """Return an A-ASSOCIATE-RQ of pynetdicom with other bytes in some place."""
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        ae = AE(ae_title="TESTSCU")
        ae.acse_timeout = ae.connection_timeout = 5
        ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)

        def take() -> None:
            connection, _ = server.accept()
            sent.append(connection.recv(65536))
            connection.close()

        thread = threading.Thread(target=take)
        thread.start()
        ae.associate("127.0.0.1", server.getsockname()[1], ae_title="ONCONODE")
        thread.join()
    assert sent[0].count(change) == 1
    return sent[0].replace(change, instead)


@pytest.mark.parametrize(
    ("change", "instead", "code", "words"),
    [
        (
            b"1.2.840.10008.3.1.1.1",
            b"1.2.840.10008.3.1.1.9",
            (1, 1, 2),
            "the application context is not DICOM's",
        ),
        (b"\x00\x01\x00\x00ONCONODE", b"\x00\x02\x00\x00ONCONODE", (1, 2, 2), "protocol version"),
    ],
)
def test_another_application_context_or_protocol_version(
    tmp_path: Path, change: bytes, instead: bytes, code: tuple[int, ...], words: str
) -> None:
    request = request_with(change, instead)
    with running_listener(tmp_path) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=20) as client:
            client.sendall(request)
            answer = client.recv(100)
        record = running.wait_for_record(REJECTED)
    assert answer[0] == 0x03, "A-ASSOCIATE-RJ"
    assert tuple(answer[7:10]) == code
    assert record.rejection == "/".join(map(str, code))
    assert words in record.reason


def test_permissions_are_refused_in_the_negotiation(tmp_path: Path) -> None:
    peers = (Peer(name="monitor", ae_title="MON", permissions=("echo",)),)
    path = write_file(tmp_path / "1.dcm", make_ct())
    with running_listener(tmp_path, peers=peers) as running:
        echoed = run_dcmtk(
            "echoscu", "-v", "-aec", "ONCONODE", "-aet", "MON", "127.0.0.1", running.port
        )
        assert "Received Echo Response" in echoed.stdout
        running.wait_for_record(AssociationResult.RELEASED)
        result = storescu(running.port, "-aet", "MON", path, check=False)
        assert "No Acceptable Presentation Contexts" in result.stdout
        record = running.wait_for_record(AssociationResult.ABORTED)
        assert (record.peer, record.accepted) == ("monitor", {})
        assert record.reason == "none of its presentation contexts was acceptable"
        assert {context.reason for context in record.refused} == {
            "this peer has no permission to store"
        }
        assert record.refused[0].sop_class_uid == CTImageStorage
        storescu(running.port, "-aet", "CT1", path)
        wait_until(lambda: running.listener.counts == {"new": 1})


def test_what_was_stored_and_refused_is_counted(tmp_path: Path) -> None:
    data = encode(make_ct())
    with running_listener(tmp_path) as running:
        unsupported = (CTImageStorage, ("1.2.840.10008.1.2.4.100",))
        supported = (CTImageStorage, (ExplicitVRLittleEndian,))
        with associated(running.port, supported, unsupported, calling="CT1") as association:
            wait_until(lambda: running.associations.list(limit=1))
            (opened,) = running.associations.list()
            assert opened.result is AssociationResult.OPEN
            assert opened.ended_at is None
            assert send_bytes(association, data).Status == 0x0000
            assert send_bytes(association, data).Status == 0x0000
            assert send_bytes(association, data[:-300]).Status != 0x0000
        record = running.wait_for_record(AssociationResult.RELEASED)
        assert len(running.associations.list()) == 1, "one association, one line"
    assert (record.objects_stored, record.objects_refused) == (2, 1)
    assert record.bytes_stored == 2 * len(data)
    assert record.accepted == {ExplicitVRLittleEndian: (CTImageStorage,)}
    (context,) = record.refused
    assert context.reason == "none of the transfer syntaxes is supported"
    assert context.transfer_syntax_uids == ("1.2.840.10008.1.2.4.100",)
    assert record.reason == ""


def test_nobody_waits_for_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()  # of a database that takes its time
    with running_listener(tmp_path) as running:
        monkeypatch.setattr(running.associations, "record_all", lambda _: answers.wait(60))
        try:
            with associated(running.port) as association:
                assert send_bytes(association, encode(make_ct())).Status == 0x0000
            with associated(running.port, called="WRONG") as association:
                assert association.is_rejected
            assert not answers.is_set()
        finally:
            answers.set()


def test_another_configuration_decides_about_the_next_association(tmp_path: Path) -> None:
    settings = make_settings()
    with running_listener(tmp_path, settings=settings) as running:
        with associated(running.port, calling="CT1") as first:
            changed = settings.model_copy(update={"accept_unknown_peers": False})
            running.listener.take_up(changed, (Peer(name="mr", ae_title="MR1"),))
            with associated(running.port, calling="CT1") as second:
                assert second.is_rejected
            assert send_bytes(first, encode(make_ct())).Status == 0x0000
        with associated(running.port, calling="MR1") as third:
            assert third.is_established


def test_the_command_tells_why(tmp_path: Path) -> None:
    with running_listener(tmp_path / "data") as running:
        with associated(running.port, calling="CT1", called="WRONG"):
            running.wait_for_record(REJECTED)
        with associated(running.port, calling="MR1") as association:
            send_bytes(association, encode(make_ct()))
        running.wait_for_record(AssociationResult.RELEASED, calling="MR1")
    configuration = tmp_path / "dicom_conf"
    configuration.mkdir()
    (configuration / "node.yaml").write_text("data_dir: data\n")

    def run(*options: str) -> str:
        result = CliRunner().invoke(
            app,
            ["--config", str(configuration), "associations", *options],
            env={"COLUMNS": "250"},
            catch_exceptions=False,
        )
        assert result.exit_code == 0
        return result.stdout

    everything, refused = run(), run("--refused")
    assert "MR1" in everything
    assert "MR1" not in refused
    assert "CT1" in refused
    assert "1/1/7 called AE title 'WRONG' is not the node's: ONCONODE" in refused
    assert run("--ae", "NOBODY") == "no associations\n"
    assert '"rejection": "1/1/7"' in run("--json", "--ae", "CT1", "--limit", "1")
