"""kill -9 of every process, and of all at once, at every stage of a study.

A study must end delivered, and the archive must hold one SEG and one SR of it. The node is held
still at each stage before the blow falls, so no case depends on luck:

========== =======================================================================================
received   the dispatcher is stopped, so no job can exist when the last object has been answered
queued     the Dask scheduler is stopped, so no worker can be given the job
segmenting the worker is stopped in this stage
reporting  the worker is stopped in this stage
sending    the archive has stored the first object and withholds its answer
========== =======================================================================================
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from running_node import JOB_S, START_S, RunningNode
from small_study import write_small_study

from node.emulate.archive import Archive, Receipt
from node.emulate.phantom import WrittenSeries
from node.jobs.state import FINISHED, JobState

pytestmark = pytest.mark.slow

VICTIMS = ("listener", "dispatcher", "worker-1", "scheduler", "node")
TRIES = 4
"""A stage that lasts milliseconds may be over before the worker is stopped; then with a new one."""

Held = AbstractContextManager[WrittenSeries]


class Bench:
    """Node, archive and fresh studies."""

    def __init__(self, node: RunningNode, archive: Archive, folder: Path) -> None:
        self.node = node
        self.archive = archive
        self._folder = folder
        self._numbers = count(1)

    def make_study(self) -> WrittenSeries:
        """Write a study that nobody has seen before."""
        return write_small_study(self._folder / f"study{next(self._numbers)}")

    def receipts_of(self, study_instance_uid: str) -> list[Receipt]:
        """What the archive has of a study."""
        return [
            receipt
            for receipt in self.archive.kept
            if receipt.path is not None
            and dcmread(receipt.path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID
            == study_instance_uid
        ]

    def check_delivered(self, study_instance_uid: str) -> None:
        """The job is delivered, and the archive has one SEG and one SR, however often it came."""
        job = self.node.wait_for_end(study_instance_uid)
        assert (job.state, job.error) == (JobState.DELIVERED, ""), self.node.log_tail()
        receipts = self.receipts_of(study_instance_uid)
        contents = {(one.sop_class_uid, one.sop_instance_uid, one.sha256) for one in receipts}
        classes = sorted(sop_class for sop_class, _, _ in contents)
        counts = Counter(receipt.sop_instance_uid for receipt in receipts)
        print(f"attempts {job.attempts}, receipts {sorted(counts.values())}")
        assert classes == sorted([SegmentationStorage, Comprehensive3DSRStorage]), counts
        promised = {entry["sop_instance_uid"] for entry in job.result["evidence"]} - {""}
        assert set(counts) == promised


@pytest.fixture
def bench(node: RunningNode, archive: Archive, tmp_path: Path) -> Bench:
    return Bench(node, archive, tmp_path)


@contextmanager
def hold_received(bench: Bench) -> Iterator[WrittenSeries]:
    study = bench.make_study()
    with bench.node.stopped("dispatcher"):
        bench.node.send(study.paths)
        assert bench.node.jobs(study.study_instance_uid) == []
        yield study


@contextmanager
def hold_queued(bench: Bench) -> Iterator[WrittenSeries]:
    study = bench.make_study()
    with bench.node.stopped("scheduler"):
        bench.node.send(study.paths)
        bench.node.wait_for(lambda: bench.node.jobs(study.study_instance_uid), "a job", JOB_S)
        assert bench.node.job(study.study_instance_uid).state is JobState.QUEUED
        yield study


def hold_in_stage(stage: str) -> Callable[[Bench], Held]:
    @contextmanager
    def hold(bench: Bench) -> Iterator[WrittenSeries]:
        for _ in range(TRIES):
            study = bench.make_study()
            bench.node.send(study.paths)
            wait_for_stage(bench.node, study.study_instance_uid, stage)
            with bench.node.stopped("worker-1"):
                job = bench.node.job(study.study_instance_uid)
                if (job.state, job.stage) == (JobState.RUNNING, stage):
                    yield study
                    return
            bench.check_delivered(study.study_instance_uid)
        pytest.fail(f"the worker was never caught in stage {stage}")

    return hold


def wait_for_stage(node: RunningNode, study_instance_uid: str, stage: str) -> None:
    def is_there_or_past() -> bool:
        job = node.job(study_instance_uid)
        return job is not None and (job.stage == stage or job.state in FINISHED)

    node.wait_for(is_there_or_past, f"stage {stage}", JOB_S)


@contextmanager
def hold_sending(bench: Bench) -> Iterator[WrittenSeries]:
    study = bench.make_study()
    stored, may_answer = threading.Event(), threading.Event()

    def withhold_answer(_receipt: Receipt) -> None:
        stored.set()
        may_answer.wait(JOB_S)

    bench.archive.on_receipt = withhold_answer
    try:
        bench.node.send(study.paths)
        bench.node.wait_for(stored.is_set, "an object in the archive", JOB_S)
        assert bench.node.job(study.study_instance_uid).state is JobState.SENDING
        yield study
    finally:
        bench.archive.on_receipt = lambda _receipt: None
        may_answer.set()


HOLD: dict[str, Callable[[Bench], Held]] = {
    "received": hold_received,
    "queued": hold_queued,
    "segmenting": hold_in_stage("segment"),
    "reporting": hold_in_stage("report"),
    "sending": hold_sending,
}


@pytest.mark.parametrize(
    ("stage", "victim"),
    # The victims take turns: one that dies often in a row waits longer before it starts again.
    [(stage, victim) for stage in HOLD for victim in VICTIMS],
)
def test_a_killed_process_costs_no_study_and_doubles_none(
    bench: Bench, stage: str, victim: str
) -> None:
    node = bench.node
    with HOLD[stage](bench) as study:
        before = node.pids()
        node.kill(victim)
    if victim == "node":
        assert node.processes() == []
        node.start()
    bench.check_delivered(study.study_instance_uid)
    if victim != "node":
        node.wait_for(
            lambda: node.pids().keys() == before.keys() and node.is_whole(), "the victim", START_S
        )
        changed = {child for child, pid in node.pids().items() if pid != before[child]}
        assert changed == {victim}  # nobody else was hurt


def test_a_sender_cut_off_in_the_middle_sends_again_and_gets_one_result(bench: Bench) -> None:
    node, study = bench.node, bench.make_study()
    with node.stopped("dispatcher"):  # else a part of the study could pass for all of it
        node.send(study.paths[:3])
        before = node.pid("listener")
        node.kill("listener")
        node.wait_for(lambda: not node.answers() or node.pid("listener") != before, "its end", 30)
        node.wait_for(node.answers, "the listener", START_S)
        node.send(study.paths)
    bench.check_delivered(study.study_instance_uid)


def test_results_wait_for_an_archive_that_is_away(bench: Bench) -> None:
    node, study = bench.node, bench.make_study()

    def is_waiting() -> bool:
        job = node.job(study.study_instance_uid)
        deliveries = node.parts.ledger.deliveries(job.job_id) if job else []
        return bool(deliveries) and all(one.error for one in deliveries)

    bench.archive.stop()
    try:
        node.send(study.paths)
        node.wait_for(is_waiting, "a sending that fails", JOB_S)
        assert node.job(study.study_instance_uid).state is JobState.SENDING
    finally:
        bench.archive.start()
    bench.check_delivered(study.study_instance_uid)


def test_after_all_this_no_study_is_unfinished_and_none_has_two_results(bench: Bench) -> None:
    jobs = bench.node.parts.ledger.list(limit=1000)
    mine = [job for job in jobs if job.destinations == ("archive",)]
    assert {job.state for job in mine} == {JobState.DELIVERED}
    assert len({job.study_instance_uid for job in mine}) == len(mine)
    for job in mine:
        bench.check_delivered(job.study_instance_uid)
