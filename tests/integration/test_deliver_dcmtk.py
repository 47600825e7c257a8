"""Sending to dcmtk's storescp, and to peers that misbehave."""

import socket
import threading
import time
from pathlib import Path

import pytest
from factories_report import axes, make_labels, make_report, make_series
from free_ports import free_port
from peers_dcmtk import running_storescp
from pydicom import dcmread
from pynetdicom import AE, build_context, evt

from node.config.settings import DeliverSettings, Peer, ReportSettings
from node.deliver.association import open_association
from node.deliver.c_echo import echo
from node.deliver.c_store import send_objects
from node.domain.errors import TryLater
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr

SETTINGS = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"
DAMAGED_META = Path(__file__).parents[1] / "fuzz" / "corpus" / "meta_length_uv.dcm"
VERIFICATION = "1.2.840.10008.1.1"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    series = make_series(
        folder / "im",
        axes(shape=(6, 23, 29)),
        headers={"SpecificCharacterSet": "GB18030", "PatientName": "Zhang^Xiao=张^小明"},
    )
    report = make_report(series.volume, make_labels((6, 23, 29), 2))
    sources = read_sources(series.paths, series.volume.source_uids)
    seg = build_seg(report, sources, settings=ReportSettings())
    sr = build_sr(report, sources, seg, settings=ReportSettings())
    paths = [folder / "seg.dcm", folder / "sr.dcm"]
    for dataset, path in zip((seg, sr), paths, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return paths


def _send(paths, peer):
    return send_objects(paths, peer=peer, calling_ae_title="ONCONODE", settings=SETTINGS)


def _running_scp(handle_store, *, classes=(SEG_CLASS, SR_CLASS, VERIFICATION)):
    entity = AE(ae_title="FUSSY")
    for sop_class in classes:
        entity.add_supported_context(sop_class)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle_store)]
    )
    port = server.socket.getsockname()[1]
    return server, Peer(name="fussy", ae_title="FUSSY", port=port)


@pytest.mark.parametrize(
    ("option", "transfer_syntax"),
    [("+xe", "1.2.840.10008.1.2.1"), ("+xi", "1.2.840.10008.1.2")],
    ids=["explicit", "implicit-only"],
)
def test_objects_arrive_unchanged(tmp_path, results, option, transfer_syntax):
    with running_storescp(tmp_path, option) as (peer, folder):
        outcomes = _send(results, peer)
    assert [(o.accepted, o.retry, o.status) for o in outcomes] == [(True, False, 0)] * 2
    received = {str(dcmread(path).SOPInstanceUID): dcmread(path) for path in folder.iterdir()}
    assert len(received) == 2
    for path, outcome in zip(results, outcomes, strict=True):
        sent = dcmread(path)
        assert outcome.path == path
        assert outcome.sop_instance_uid == sent.SOPInstanceUID
        arrived = received[sent.SOPInstanceUID]
        assert arrived.file_meta.TransferSyntaxUID == transfer_syntax
        if "PixelData" in sent:
            arrived["PixelData"].VR = sent["PixelData"].VR  # implicit VR always reads as OW
        assert list(arrived) == list(sent)


def test_echo(tmp_path):
    with running_storescp(tmp_path) as (peer, _):
        assert 0 < echo(peer, calling_ae_title="ONCONODE", settings=SETTINGS) < 5


def test_peer_down(results):
    peer = Peer(name="nobody", ae_title="NOBODY", port=free_port())
    with pytest.raises(TryLater, match="nobody: no connection"):
        _send(results, peer)
    with pytest.raises(TryLater, match="nobody: no connection"):
        echo(peer, calling_ae_title="ONCONODE", settings=SETTINGS)


def test_peer_rejects(tmp_path, results):
    with (
        running_storescp(tmp_path, "--refuse") as (peer, _),
        pytest.raises(TryLater, match="association"),
    ):
        _send(results, peer)


def test_peer_aborts(tmp_path, results):
    with running_storescp(tmp_path, "--abort-during") as (peer, _):
        outcomes = _send(results, peer)
    assert [(o.accepted, o.retry) for o in outcomes] == [(False, True)] * 2


def test_peer_that_never_answers_is_left(results):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        peer = Peer(name="deaf", ae_title="DEAF", port=deaf.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(TryLater, match="no answer"):
            send_objects(
                results,
                peer=peer,
                calling_ae_title="ONCONODE",
                settings=DeliverSettings(acse_timeout_s=1, dimse_timeout_s=1),
            )
        assert time.monotonic() - started < 10


def test_one_refused_class_does_not_fail_the_other(results):
    server, peer = _running_scp(lambda _: 0x0000, classes=(SR_CLASS,))
    try:
        seg, sr = _send(results, peer)
    finally:
        server.shutdown()
    assert (seg.accepted, seg.retry, seg.status) == (False, False, 0x0122)
    assert "presentation context" in seg.detail
    assert sr.accepted


def test_nothing_but_refused_classes(results):
    server, peer = _running_scp(lambda _: 0x0000, classes=(VERIFICATION,))
    try:
        outcomes = _send(results, peer)
    finally:
        server.shutdown()
    assert [(o.accepted, o.retry, o.status) for o in outcomes] == [(False, False, 0x0122)] * 2


@pytest.mark.parametrize(
    ("status", "accepted", "retry"),
    [
        (0xB000, True, False),
        (0x0111, True, False),
        (0xA700, False, True),
        (0xA900, False, False),
        (0xC123, False, False),
    ],
)
def test_statuses(results, status, accepted, retry):
    answers = [status, 0x0000]
    server, peer = _running_scp(lambda _: answers.pop(0))
    try:
        first, second = _send(results, peer)
    finally:
        server.shutdown()
    assert (first.accepted, first.retry, first.status) == (accepted, retry, status)
    assert second.accepted


def test_an_unreadable_file_fails_alone(tmp_path, results):
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(b"no DICOM")
    server, peer = _running_scp(lambda _: 0x0000)
    try:
        bad, damaged, missing, good = _send(
            [rubbish, DAMAGED_META, tmp_path / "missing.dcm", results[1]], peer
        )
    finally:
        server.shutdown()
    assert (bad.accepted, bad.retry) == (False, False)
    assert (damaged.accepted, damaged.retry) == (False, False)
    assert (missing.accepted, missing.retry) == (False, False)
    assert good.accepted


def test_a_rejection_is_told_however_late_this_side_wakes():
    """The connection is closed again before ``associate`` has looked at it."""
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reject():
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x07")
            connection.close()

        thread = threading.Thread(target=reject)
        thread.start()
        peer = Peer(name="strict", ae_title="STRICT", port=server.getsockname()[1])
        late = [
            (evt.EVT_CONN_CLOSE, lambda _: closed.set()),
            (evt.EVT_REQUESTED, lambda _: closed.wait(5)),
        ]
        with (
            pytest.raises(TryLater) as told,
            open_association(
                peer,
                contexts=[build_context(VERIFICATION)],
                calling_ae_title="ONCONODE",
                settings=SETTINGS,
                handlers=late,
            ),
        ):
            pass
        thread.join()
    assert closed.is_set()
    assert str(told.value) == "strict: association rejected: Called AE title not recognised"
