"""Orthanc as an archive that is asked, gives, commits, and asks us to commit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from factories_receive import (
    ROOT,
    SERIES,
    STUDY,
    listener_settings,
    make_ct,
    running_listener,
    wait_until,
    write_file,
)
from free_ports import free_port
from peers_orthanc import Orthanc, running_orthanc
from pydicom import dcmread
from pydicom.uid import CTImageStorage

from node.bootstrap.asking import archive_of, counter_of
from node.bootstrap.parts import Parts
from node.bootstrap.proving import commitment_requests, commitment_service, proof_rounds
from node.config.settings import DeliverSettings, Settings
from node.deliver.c_store import send_objects
from node.deliver.commitment import request_commitment
from node.jobs.commitment_requests import RequestState
from node.jobs.commitments import Transaction
from node.query.dimse import DimseArchive
from node.query.found import QueryRefused, StudyKeys, Wanted

SETTINGS = DeliverSettings(acse_timeout_s=20, dimse_timeout_s=30, commitment_wait_s=0.5)
WAIT_S = 40
UIDS = [f"{ROOT}.3.{number}" for number in range(1, 4)]


@pytest.fixture(scope="module")
def node_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, node_port: int) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    with running_orthanc(
        folder / "orthanc", modalities={"node": ("ONCONODE", node_port)}
    ) as running:
        paths = [write_file(folder / f"{n}.dcm", make_ct(n, StudyID="1")) for n in range(1, 4)]
        outcomes = send_objects(
            paths, peer=running.peer, calling_ae_title="ONCONODE", settings=SETTINGS
        )
        assert all(outcome.accepted for outcome in outcomes)
        yield running


def make_parts(folder: Path, orthanc: Orthanc, port: int) -> Parts:
    node = listener_settings().model_copy(
        update={"data_dir": folder, "port": port, "deliver": SETTINGS}
    )
    return Parts(settings=Settings(node=node, peers=(orthanc.peer,)))


@pytest.fixture
def archive(orthanc: Orthanc) -> DimseArchive:
    return DimseArchive(peer=orthanc.peer, calling_ae_title="ONCONODE", settings=SETTINGS)


def test_find_at_every_level(archive: DimseArchive) -> None:
    (study,) = archive.find_studies(StudyKeys(study_instance_uid=STUDY))
    assert (study.study_instance_uid, study.series_count, study.instance_count) == (STUDY, 1, 3)
    assert study.modalities == ("CT",)
    (series,) = archive.find_series(STUDY)
    assert (series.series_instance_uid, series.modality) == (SERIES, "CT")
    assert series.instance_count == 3
    found = archive.find_instances(STUDY, SERIES)
    assert sorted(each.sop_instance_uid for each in found) == UIDS
    assert {each.sop_class_uid for each in found} == {CTImageStorage}
    assert archive.find_studies(StudyKeys(study_instance_uid="1.2.3.4")) == ()
    assert archive.find_studies(StudyKeys(patient_id="NOBODY")) == ()
    assert len(archive.find_studies(StudyKeys(patient_id="TE*"))) == 1


def test_counts_for_completeness(tmp_path: Path, orthanc: Orthanc, node_port: int) -> None:
    settings = make_parts(tmp_path, orthanc, node_port).settings
    assert counter_of(settings, orthanc.peer)(STUDY) == {SERIES: 3}
    assert counter_of(settings, orthanc.peer)("1.2.3") == {}


def test_get_brings_the_files(tmp_path: Path, archive: DimseArchive) -> None:
    fetched = archive.get(Wanted(study_instance_uid=STUDY), tmp_path / "all")
    assert (fetched.completed, fetched.failed) == (3, 0)
    assert sorted(str(dcmread(path).SOPInstanceUID) for path in fetched.paths) == UIDS
    one = archive.get(
        Wanted(study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uids=(UIDS[1],)),
        tmp_path / "one",
    )
    assert [path.stem for path in one.paths] == [UIDS[1]]


def test_move_goes_to_the_nodes_listener(
    tmp_path: Path, orthanc: Orthanc, archive: DimseArchive, node_port: int
) -> None:
    parts = make_parts(tmp_path, orthanc, node_port)
    with running_listener(tmp_path, settings=parts.settings.node) as running:
        fetched = archive.move(Wanted(study_instance_uid=STUDY), destination_ae_title="ONCONODE")
        assert (fetched.completed, fetched.failed) == (3, 0)
        assert len(running.store.received_of(STUDY)) == 3


def test_an_unknown_destination_is_told(archive: DimseArchive) -> None:
    with pytest.raises(QueryRefused, match=r"0x|knows no AE title"):
        archive.move(Wanted(study_instance_uid=STUDY), destination_ae_title="NOWHERE")


def test_orthanc_commits_on_an_association_of_its_own(
    tmp_path: Path, orthanc: Orthanc, node_port: int
) -> None:
    parts = make_parts(tmp_path, orthanc, node_port)
    heard = []

    def record(report):
        heard.append(report)
        return True

    service = commitment_service(parts)
    service._record_report = record
    with running_listener(tmp_path, settings=parts.settings.node, commitment=service):
        missing = f"{ROOT}.3.99"
        answered = request_commitment(
            Transaction(
                transaction_uid="2.25.4711",
                destination="orthanc",
                objects=tuple((CTImageStorage, uid) for uid in [*UIDS, missing]),
            ),
            peer=orthanc.peer,
            calling_ae_title="ONCONODE",
            settings=SETTINGS,
            record=record,
        )
        assert not answered, "Orthanc opens an association for its answer"
        wait_until(lambda: heard, WAIT_S)
    (report,) = heard
    assert report.transaction_uid == "2.25.4711"
    assert report.committed == frozenset(UIDS)
    assert report.failed == {missing: 0x0112}


def test_orthanc_asks_the_node_to_commit(tmp_path: Path, orthanc: Orthanc, node_port: int) -> None:
    parts = make_parts(tmp_path, orthanc, node_port)
    with running_listener(
        tmp_path,
        settings=parts.settings.node,
        store=parts.store,
        commitment=commitment_service(parts),
    ) as running:
        send_objects(
            [write_file(tmp_path / "1.dcm", make_ct(1))],
            peer=orthanc.peer.model_copy(update={"port": running.port, "ae_title": "ONCONODE"}),
            calling_ae_title="ORTHANC",
            settings=SETTINGS,
        )
        asked = orthanc.post(
            "/modalities/node/storage-commitment",
            {"DicomInstances": [[CTImageStorage, UIDS[0]], [CTImageStorage, UIDS[1]]]},
        )
        requests = commitment_requests(parts)
        wait_until(lambda: _state(requests, asked["ID"]) is not None, WAIT_S)
        if _state(requests, asked["ID"]) is RequestState.OPEN:
            with parts.engine.begin() as connection:
                connection.exec_driver_sql(
                    "UPDATE commitment_requests SET not_before = '2020-01-01 00:00:00.000000'"
                )
            prove, report = proof_rounds(parts)
            report.tick()
            assert report.close(timeout_s=WAIT_S)
            prove.close(timeout_s=1)
        assert _state(requests, asked["ID"]) is RequestState.REPORTED
        answer = orthanc.get(f"/storage-commitment/{asked['ID']}")
    assert answer["Status"] == "Failure"
    assert [each["SOPInstanceUID"] for each in answer["Success"]] == [UIDS[0]]
    ((failed),) = answer["Failures"]
    assert (failed["SOPInstanceUID"], failed["FailureReason"]) == (UIDS[1], 0x0112)


def _state(requests, transaction_uid: str) -> RequestState | None:
    try:
        return requests.state_of("ORTHANC", transaction_uid)[0]
    except KeyError:
        return None


def test_the_archive_behind_a_peer_is_asked_by_dimse(
    tmp_path: Path, orthanc: Orthanc, node_port: int
) -> None:
    settings = make_parts(tmp_path, orthanc, node_port).settings
    assert isinstance(archive_of(settings, orthanc.peer), DimseArchive)
