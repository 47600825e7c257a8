"""Orthanc's DICOMweb plug-in: results by STOW-RS, questions by QIDO-RS, objects by WADO-RS."""

from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path

import pytest
from dicomweb_client.web import DICOMwebClient
from factories_receive import (
    ROOT,
    SERIES,
    STUDY,
    listener_settings,
    make_ct,
    running_listener,
    write_file,
)
from free_ports import free_port
from peers_orthanc import DICOM_WEB, Orthanc, running_orthanc
from pydicom import dcmread

from node.bootstrap.asking import archive_of, counter_of, fetch_to_node, look_for
from node.bootstrap.parts import Parts
from node.config.settings import DeliverSettings, DicomWeb, Peer, Settings
from node.deliver.outbox import deliver_batch
from node.deliver.proof import Presence
from node.deliver.stow import store_objects
from node.deliver.web_client import open_client
from node.domain.errors import TryLater
from node.domain.report import Evidence, EvidenceKind
from node.jobs.state import JobState
from node.query.found import StudyKeys, Wanted
from node.query.web import WebArchive

SETTINGS = DeliverSettings(acse_timeout_s=10, dimse_timeout_s=30)
USER, PASSWORD = "onconode", "correct horse"
UIDS = [f"{ROOT}.3.{number}" for number in range(1, 4)]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if not DICOM_WEB.exists():
        pytest.skip("Orthanc's DICOMweb plug-in is not installed")
    with running_orthanc(
        tmp_path_factory.mktemp("orthanc"),
        extra={
            "Plugins": [str(DICOM_WEB)],
            "DicomWeb": {"Enable": True},
        },
    ) as running:
        yield running


@pytest.fixture
def peer(orthanc: Orthanc, tmp_path: Path) -> Peer:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    return web_peer(orthanc, tmp_path / "password")


def web_peer(orthanc: Orthanc, password_file: Path) -> Peer:
    web = DicomWeb(
        url=f"http://127.0.0.1:{orthanc.http_port}/dicom-web",
        username=USER,
        password_file=str(password_file),
    )
    return orthanc.peer.model_copy(update={"dicomweb": web})


def files(folder: Path) -> list[Path]:
    return [write_file(folder / f"{n}.dcm", make_ct(n)) for n in range(1, 4)]


def test_store_then_find_then_get(tmp_path: Path, peer: Peer) -> None:
    paths = files(tmp_path)
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(b"no DICOM")
    outcomes = store_objects([*paths, rubbish], peer=peer, settings=SETTINGS)
    assert [outcome.accepted for outcome in outcomes] == [True, True, True, False]
    assert not outcomes[3].retry

    archive = WebArchive(peer=peer, settings=SETTINGS)
    (study,) = archive.find_studies(StudyKeys(patient_id="TEST"))
    assert (study.study_instance_uid, study.series_count, study.instance_count) == (STUDY, 1, 3)
    assert archive.find_studies(StudyKeys(patient_id="NOBODY")) == ()
    (series,) = archive.find_series(STUDY)
    assert (series.series_instance_uid, series.modality, series.instance_count) == (SERIES, "CT", 3)
    found = archive.find_instances(STUDY, SERIES)
    assert sorted(each.sop_instance_uid for each in found) == UIDS

    fetched = archive.get(Wanted(study_instance_uid=STUDY), tmp_path / "got")
    assert (fetched.completed, fetched.failed) == (3, 0)
    assert {str(dcmread(path).SOPInstanceUID) for path in fetched.paths} == set(UIDS)
    source = dcmread(paths[0])
    got = dcmread(tmp_path / "got" / f"{UIDS[0]}.dcm")
    assert got.PixelData == source.PixelData
    one = Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uids=(UIDS[2],))
    assert [p.stem for p in archive.get(one, tmp_path / "one").paths] == [UIDS[2]]
    assert archive.get(Wanted(study_instance_uid="1.2.3"), tmp_path / "none").completed == 0


def test_a_job_is_delivered_and_its_objects_are_looked_for(tmp_path: Path, peer: Peer) -> None:
    settings = Settings(
        node=listener_settings().model_copy(update={"data_dir": tmp_path, "deliver": SETTINGS}),
        peers=(peer,),
    )
    parts = Parts(settings=settings)
    job = parts.ledger.add_job(
        study_instance_uid=STUDY,
        series_instance_uids=[SERIES],
        bundle="b",
        rule="r",
        destinations=[peer.name],
        calling_ae_title="M",
        content_digest="d",
    )
    parts.ledger.claim("w")
    evidence = [
        Evidence(
            kind=EvidenceKind.SEG,
            path=path,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=uid,
        )
        for path, uid in zip(files(tmp_path / "out"), UIDS, strict=True)
    ]
    parts.ledger.finish(job.job_id, "w", evidence=evidence, result={})
    counts = deliver_batch(
        parts.ledger.claim_deliveries("d"),
        ledger=parts.ledger,
        peers=settings.peers,
        calling_ae_title="ONCONODE",
        settings=SETTINGS,
        owner="d",
    )
    assert counts.accepted == 3
    assert parts.ledger.get(job.job_id).state is JobState.DELIVERED
    assert counter_of(settings, peer)(STUDY) == {SERIES: 3}
    deliveries = parts.ledger.deliveries(job.job_id)
    absent = write_file(tmp_path / "9.dcm", make_ct(9))
    lost = type(deliveries[0])(
        **{**vars(deliveries[0]), "delivery_id": 99, "sop_instance_uid": "1.9", "path": absent}
    )
    presence = look_for(settings)(peer, [*deliveries, lost])
    assert [presence[each.delivery_id] for each in deliveries] == [Presence.FOUND] * 3
    assert presence[99] is Presence.MISSING


def test_missing_objects_come_to_the_nodes_listener(tmp_path: Path, peer: Peer) -> None:
    store_objects(files(tmp_path / "out"), peer=peer, settings=SETTINGS)
    node = listener_settings().model_copy(
        update={"data_dir": tmp_path, "deliver": SETTINGS, "port": free_port()}
    )
    settings = Settings(node=node, peers=(peer,))
    assert isinstance(archive_of(settings, peer), WebArchive)
    with running_listener(tmp_path, settings=node) as running:
        fetched = fetch_to_node(
            settings, peer, Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES)
        )
        assert (fetched.completed, fetched.failed) == (3, 0)
        received = running.store.received_of(STUDY)
    assert sorted(each.instance.sop_instance_uid for each in received) == UIDS
    assert {each.calling_ae_title for each in received} == {"ORTHANC"}


def test_all_pages_of_an_answer_are_read(
    tmp_path: Path, orthanc: Orthanc, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orthanc gives all at once unless it is asked for a page: so each question asks for one."""
    for path in files(tmp_path):
        orthanc.add_file(path)
    whole = DICOMwebClient.search_for_instances
    monkeypatch.setattr(DICOMwebClient, "search_for_instances", partialmethod(whole, limit=2))
    client = open_client(peer, SETTINGS)
    assert len(client.search_for_instances(STUDY, SERIES)) == 2
    found = WebArchive(peer=peer, settings=SETTINGS).find_instances(STUDY, SERIES)
    assert sorted(each.sop_instance_uid for each in found) == UIDS


def test_a_peer_that_is_away_is_tried_later(tmp_path: Path) -> None:
    web = DicomWeb(url=f"http://127.0.0.1:{free_port()}/dicom-web")
    gone = Peer(name="gone", ae_title="GONE", dicomweb=web)
    with pytest.raises(TryLater, match="STOW-RS failed: ConnectionError"):
        store_objects(files(tmp_path), peer=gone, settings=SETTINGS)
    with pytest.raises(TryLater, match="QIDO-RS failed"):
        WebArchive(peer=gone, settings=SETTINGS).find_series(STUDY)


def test_a_path_that_is_no_dicomweb_is_told(tmp_path: Path, orthanc: Orthanc) -> None:
    web = DicomWeb(url=f"http://127.0.0.1:{orthanc.http_port}/system")
    wrong = Peer(name="wrong", ae_title="WRONG", dicomweb=web)
    (outcome,) = store_objects(files(tmp_path)[:1], peer=wrong, settings=SETTINGS)
    assert (outcome.accepted, outcome.retry, outcome.refused) == (False, True, False)
    assert "HTTP 404" in outcome.detail
