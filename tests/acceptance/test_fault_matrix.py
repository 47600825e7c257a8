"""Every fault that is no kill, at every stage where it can fall: delivered once, or a dead letter.

Kills are in ``test_kill_matrix``, what DICOMweb archives and receivers of messages do wrong in
``test_fault_matrix_web``; all print their counts in one table at the end of the run. The
node gives up a sending after a few seconds here, so that there are dead letters; a person's
``onconode jobs retry`` then has the results sent. An archive that is away for a day is in
``integration/test_delivery_ladder``, by a clock that stands still.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_table import Row
from free_ports import free_port
from held_stages import AS_MADE, HOLD, Bench
from pydicom.uid import (
    Comprehensive3DSRStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)
from pynetdicom import AE
from running_node import AE_TITLE, CHILDREN, IMPATIENT, JOB_S, RunningNode
from spoiled_resources import database_locked, disk_full

from node.config.settings import Peer
from node.emulate.archive import OUT_OF_RESOURCES, Archive, Faults
from node.emulate.commitment_desk import SUCCESS, Commitment
from node.emulate.modality import send_files
from node.jobs.job import DeliveryState
from node.jobs.state import JobEvent, JobState

pytestmark = pytest.mark.slow

FAULT_S = 5.0
"""How long disk or database are out of order: longer than the lease of a job."""
SEG, SR = str(SegmentationStorage), str(Comprehensive3DSRStorage)


@pytest.fixture(scope="module")
def sick_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """An archive that commits to what it holds, and does all the rest wrong when told to."""
    folder = tmp_path_factory.mktemp("sick")
    with Archive(folder, ae_title="SICK", port=free_port(), commitment=Commitment.SAME) as running:
        yield running


@pytest.fixture(scope="module")
def _node(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path, sick_archive: Archive
) -> Iterator[RunningNode]:
    node = RunningNode(
        tmp_path_factory.mktemp("node"),
        models_dir=models_dir,
        peers=[Peer(name="sick", ae_title="SICK", port=sick_archive.port)],
        rules=[
            {
                "name": "all",
                "match": {"modality": ["MR"]},
                "bundle": "brain-t1ce",
                "destinations": ["sick"],
            }
        ],
        node=IMPATIENT,
    )
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def bench(
    _node: RunningNode, sick_archive: Archive, tmp_path: Path, fault_rows: list[Row]
) -> Iterator[Bench]:
    """The node, whole, and an archive that is well at the beginning and at the end."""
    if not _node.is_running:
        _node.start()
    _node.wait_until_whole()
    yield Bench(_node, sick_archive, tmp_path, fault_rows)
    sick_archive.faults = Faults()


# -- the archive, while results are sent -----------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Passing:
    """A fault that ends by itself, and what the archive holds in the end."""

    faults: Faults
    classes: frozenset[str] = AS_MADE
    proven: bool = False
    """Whether to wait until the archive has committed to all of it."""


PASSING: Mapping[str, Passing] = {
    "archive aborts, twice": Passing(faults=Faults(abort=True, times=2)),
    "archive keeps and aborts": Passing(faults=Faults(abort=True, keep=True, times=1)),
    "archive stalls": Passing(faults=Faults(stall=True, times=1)),
    "archive answers 0xA700, 3 times": Passing(faults=Faults(answer=OUT_OF_RESOURCES, times=3)),
    "archive refuses SEG": Passing(
        faults=Faults(answer=0xC000, only=frozenset({SEG})),
        classes=frozenset({str(RTStructureSetStorage), SR}),
    ),
    "archive accepts and loses": Passing(faults=Faults(lose=True, times=1), proven=True),
}


@pytest.mark.parametrize("name", PASSING)
def test_an_archive_that_fails_for_a_while_gets_every_result_once(bench: Bench, name: str) -> None:
    case, study = PASSING[name], bench.make_study()
    bench.archive.faults = case.faults
    bench.node.send(study.paths)
    bench.node.wait_for_end(study.study_instance_uid)
    if case.proven:
        wait_for_proof(bench, study.study_instance_uid)
    bench.conclude(study.study_instance_uid, fault=name, stage="sending", classes=case.classes)


def wait_for_proof(bench: Bench, study_instance_uid: str) -> None:
    def is_proven() -> bool:
        job = bench.node.job(study_instance_uid)
        states = {each.state for each in bench.node.parts.ledger.deliveries(job.job_id)}
        return job.state is JobState.DELIVERED and states == {DeliveryState.COMMITTED}

    bench.node.wait_for(is_proven, "commitment to every object", JOB_S)


LASTING: Mapping[str, tuple[Faults | None, str]] = {
    "archive down": (None, "no connection"),
    "archive aborts always": (Faults(abort=True), "association lost"),
    "archive answers 0xA700 always": (Faults(answer=OUT_OF_RESOURCES), "0xA700"),
    "archive always loses": (Faults(lose=True), "commitment failed"),
}


@pytest.mark.parametrize("name", LASTING)
def test_a_dead_letter_tells_its_reason_and_is_delivered_once_after_a_retry(
    bench: Bench, name: str
) -> None:
    (faults, reason), node, study = LASTING[name], bench.node, bench.make_study()

    def is_given_up() -> bool:
        job = node.job(study.study_instance_uid)
        return job is not None and job.state is JobState.FAILED

    if faults is None:
        bench.archive.stop()
    else:
        bench.archive.faults = faults
    try:
        node.send(study.paths)
        node.wait_for(is_given_up, "a dead letter", JOB_S)
    finally:
        if faults is None:
            bench.archive.start()
        bench.archive.faults = Faults()
    job = node.job(study.study_instance_uid)
    assert reason in job.error
    assert job.job_id in node.onconode("jobs", "list", "--state", "failed", "--json")
    node.onconode("jobs", "retry", job.job_id)
    node.wait_for_end(study.study_instance_uid)
    wait_for_proof(bench, study.study_instance_uid)
    bench.conclude(study.study_instance_uid, fault=name, stage="sending", dead_lettered=1)


@pytest.mark.parametrize("victim", ["dispatcher", "listener", "node", "SIGTERM"])
def test_a_commitment_that_was_asked_for_before_a_fault_is_heard_after_it(
    bench: Bench, victim: str
) -> None:
    node, study, desk = bench.node, bench.make_study(), bench.archive.desk
    known = len(desk.asked)
    desk.mode = Commitment.LATER
    try:
        node.send(study.paths)
        job = node.wait_for_end(study.study_instance_uid)
        sent = {each.sop_instance_uid for each in node.parts.ledger.deliveries(job.job_id)}
        node.wait_for(
            lambda: sent <= {uid for asked in desk.asked[known:] for _, uid in asked.objects},
            "a request for commitment",
            JOB_S,
        )
        if victim == "SIGTERM":
            assert node.terminate() == 0
        else:
            node.kill(victim)
        if victim in ("node", "SIGTERM"):
            node.start()
        node.wait_until_whole()
        for asked in desk.asked[known:]:
            assert desk.report(asked, host="127.0.0.1", port=node.port) == SUCCESS
        wait_for_proof(bench, study.study_instance_uid)
    finally:
        desk.mode = Commitment.SAME
    fault = victim if victim == "SIGTERM" else f"SIGKILL {victim}"
    bench.conclude(study.study_instance_uid, fault=fault, stage="awaiting commitment")


# -- disk and database, at every stage -------------------------------------------------------------

SPOILED: Mapping[str, Callable[[RunningNode], AbstractContextManager[None]]] = {
    "database locked": database_locked,
    "disk full": lambda node: disk_full(node, *(set(CHILDREN) - {"scheduler"})),
}


@pytest.mark.parametrize("stage", HOLD)
@pytest.mark.parametrize("fault", SPOILED)
def test_a_resource_that_is_out_of_order_costs_no_study(
    bench: Bench, fault: str, stage: str
) -> None:
    node = bench.node
    before = node.pids()
    with ExitStack() as spoiled:
        with HOLD[stage](bench) as study:
            spoiled.enter_context(SPOILED[fault](node))
        # the node goes on, into a wall; this is how long the wall stands
        threading.Event().wait(FAULT_S)
    bench.conclude(study.study_instance_uid, fault=f"{fault}, {FAULT_S:g} s", stage=stage)
    assert node.pids() == before  # nobody fell over it


@pytest.mark.parametrize("room_bytes", [0, 4096])
def test_while_the_disk_is_full_nothing_is_taken_and_later_all_of_it(
    bench: Bench, room_bytes: int
) -> None:
    """Also where the disk is full in the middle of an object only."""
    node, study = bench.node, bench.make_study()
    assert min(path.stat().st_size for path in study.paths) > room_bytes
    with disk_full(node, "listener", room_bytes=room_bytes):
        sent = send_files(study.paths, host="127.0.0.1", port=node.port, called_ae=AE_TITLE)
        assert {one.status for one in sent} == {OUT_OF_RESOURCES}
        assert node.parts.store.received_of(study.study_instance_uid) == ()
    node.send(study.paths)
    bench.conclude(
        study.study_instance_uid, fault=f"disk full at {room_bytes} bytes", stage="receiving"
    )


def test_a_sender_waits_for_a_database_that_is_locked(bench: Bench) -> None:
    node, study = bench.node, bench.make_study()
    with ThreadPoolExecutor(1) as pool:
        with database_locked(node):
            sending = pool.submit(node.send, study.paths)
            threading.Event().wait(FAULT_S)
            assert not sending.done()
            assert node.parts.store.received_of(study.study_instance_uid) == ()
        sending.result(timeout=60)  # every object was answered with success
    bench.conclude(
        study.study_instance_uid, fault=f"database locked, {FAULT_S:g} s", stage="receiving"
    )


# -- SIGTERM: what is begun is ended ---------------------------------------------------------------


def test_a_sender_may_end_its_association_while_the_node_stops(bench: Bench) -> None:
    node, study = bench.node, bench.make_study()
    ae = AE("MODALITY")
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.4")
    association = ae.associate("127.0.0.1", node.port, ae_title=AE_TITLE)
    statuses = [association.send_c_store(path).Status for path in study.paths[:2]]
    node.ask_to_stop()
    node.wait_for(lambda: not node.takes_calls(), "the port to close", 30)
    statuses += [association.send_c_store(path).Status for path in study.paths[2:]]
    association.release()
    assert statuses == [0] * len(study.paths)
    assert node.wait_for_exit() == 0
    node.start()
    bench.conclude(study.study_instance_uid, fault="SIGTERM, drain", stage="receiving")


@pytest.mark.parametrize("stage", ["queued", "sending"])  # segmenting: see test_stopping
def test_what_is_begun_is_ended_before_the_node_stops(bench: Bench, stage: str) -> None:
    node = bench.node
    with HOLD[stage](bench) as study:
        node.ask_to_stop()
    assert node.wait_for_exit() == 0
    assert node.processes() == []
    node.start()
    bench.conclude(study.study_instance_uid, fault="SIGTERM, drain", stage=stage)
    job = node.job(study.study_instance_uid)
    events = [line.event for line in node.parts.ledger.events(job.job_id)]
    assert events.count(JobEvent.FINISH) == 1  # nothing was computed twice
