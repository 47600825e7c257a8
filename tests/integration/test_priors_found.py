"""Earlier examinations found by what the settings say: in a real archive, and in the node's own."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from factories_exams import FIRST_DAY, NEXT_DAY, OUTLINER, Exam, finish_exam, headers_of
from factories_ledger import queue_job
from factories_receive import listener_settings
from free_ports import free_port
from peers_orthanc import Orthanc, running_orthanc
from tools import require_tool

from node.bootstrap.parts import Parts
from node.bootstrap.priors.looking import look_in_archives
from node.config.settings import (
    DeliverSettings,
    DicomWeb,
    Peer,
    PriorsSettings,
    RoutingRule,
    SeriesMatch,
    Settings,
)
from node.emulate.case import load_case
from node.emulate.follow_up import visit_again
from node.emulate.phantom import write_follow_up
from node.jobs.job import Job
from node.storage.instances import ReceivedInstance

TIMEOUTS = DeliverSettings(acse_timeout_s=20, dimse_timeout_s=30)


@pytest.fixture(scope="module")
def visits(tmp_path_factory) -> tuple[Exam, Exam]:
    folder = tmp_path_factory.mktemp("visits")
    still = visit_again(load_case("brain2"))
    first, present = (
        finish_exam(
            write_follow_up(still, folder / day / "images", visit=day, headers=headers_of(day)),
            folder / day,
        )
        for day in (FIRST_DAY, NEXT_DAY)
    )
    return first, present


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory, visits) -> Iterator[Orthanc]:
    first, _ = visits
    with running_orthanc(
        tmp_path_factory.mktemp("pacs") / "orthanc",
        modalities={"node": ("ONCONODE", free_port())},
        extra={
            "Plugins": [str(require_tool("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"))],
            "DicomWeb": {"Enable": True},
        },
    ) as running:
        for path in (*first.images.iterdir(), *first.results.iterdir()):
            running.add_file(path)
        yield running


def parts_with(folder: Path, *peers: Peer, look_in=None, compare=True, **changed) -> Parts:
    names = tuple(peer.name for peer in peers) if look_in is None else look_in
    priors = PriorsSettings(look_in=names, **changed)
    node = listener_settings().model_copy(
        update={"data_dir": folder, "deliver": TIMEOUTS, "priors": priors}
    )
    rule = RoutingRule(
        name="brain",
        match=SeriesMatch(modality=("MR",)),
        bundle=OUTLINER.name,
        destinations=("none",),
        compare=compare,
    )
    return Parts(settings=Settings(node=node, peers=peers, routing=(rule,)))


def job_on(parts: Parts, exam: Exam) -> Job:
    return queue_job(
        parts.ledger,
        exam.series.study_instance_uid,
        series_instance_uids=[exam.series.series_instance_uid],
        bundle=OUTLINER.name,
        rule="brain",
        destinations=[],
    )


def look(parts: Parts, exam: Exam):
    with ExitStack() as fetched:
        found = look_in_archives(parts, job_on(parts, exam), exam.series, OUTLINER, fetched=fetched)
        places = [each.path for each in found.prior.series.instances] if found.prior else []
        assert all(path.is_file() for path in places)
    return found


def check_is(found, first: Exam, origin: str) -> None:
    assert found.remarks == ()
    assert found.prior.exam.origin == origin
    assert found.prior.interval_days == 91
    assert found.prior.series.geometry.is_close(first.series.geometry)
    for read, written in zip(found.prior.lesions, first.segmentation.lesions, strict=True):
        assert read.tracking_uid == written.tracking_uid
        index = np.rint(first.series.geometry.to_index(read.points_lps_mm)).astype(int)
        assert (first.segmentation.labels[tuple(index.T)] == written.number).all()
        assert len(index) == written.voxel_count


def test_by_c_find_and_c_get(orthanc, visits, tmp_path):
    first, present = visits
    parts = parts_with(tmp_path, orthanc.peer)
    check_is(look(parts, present), first, orthanc.peer.name)
    assert not list((tmp_path / "scratch").iterdir())  # what was fetched is gone with the job


def test_by_qido_and_wado(orthanc, visits, tmp_path):
    first, present = visits
    url = f"http://127.0.0.1:{orthanc.http_port}/dicom-web"
    peer = orthanc.peer.model_copy(update={"dicomweb": DicomWeb(url=url)})
    check_is(look(parts_with(tmp_path, peer), present), first, peer.name)


def test_in_the_own_archive(visits, tmp_path):
    first, present = visits
    parts = parts_with(tmp_path, look_in=("own",))
    assert look(parts, present).prior is None
    job = job_on(parts, first)
    for instance in first.series.instances:
        parts.store.record(
            ReceivedInstance(
                instance=instance,
                study_instance_uid=first.series.study_instance_uid,
                series_instance_uid=first.series.series_instance_uid,
                modality="MR",
                calling_ae_title="MR1",
                size_bytes=1,
            )
        )
    results = parts.spool.results_dir(job.job_id) / "attempt"
    results.mkdir()
    for path in first.results.iterdir():
        (results / path.name).write_bytes(path.read_bytes())
    assert look(parts, present).prior is None  # the job has not finished
    parts.ledger.cancel(job_on(parts, present).job_id)
    claimed = parts.ledger.claim("worker/1")
    assert claimed is not None
    assert claimed.job_id == job.job_id
    parts.ledger.finish(job.job_id, "worker/1", evidence=(), result={})
    check_is(look(parts, present), first, "this node")


def test_a_peer_that_is_away_costs_a_remark(visits, tmp_path):
    _, present = visits
    nobody = Peer(name="PACS", ae_title="PACS", host="127.0.0.1", port=free_port())
    found = look(parts_with(tmp_path, nobody), present)
    assert found.prior is None
    assert found.remarks[0].startswith("PACS was not searched for earlier examinations")


def test_a_peer_that_hangs_is_left_when_its_time_is_over(visits, tmp_path):
    _, present = visits
    with socket.create_server(("127.0.0.1", 0)) as silent:
        peer = Peer(name="PACS", ae_title="PACS", port=silent.getsockname()[1])
        found = look(parts_with(tmp_path, peer, timeout_s=0.5), present)
    assert found.prior is None
    assert found.remarks == ("the search for earlier examinations took longer than 0.5 s",)


def test_nothing_is_asked_without_a_place_or_where_the_rule_says_so(visits, tmp_path):
    _, present = visits
    nobody = Peer(name="PACS", ae_title="PACS", port=free_port())
    assert look(parts_with(tmp_path, nobody, look_in=()), present).remarks == ()
    assert look(parts_with(tmp_path, nobody, compare=False), present).remarks == ()
