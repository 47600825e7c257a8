"""A running node held still at a stage of a study, so that a fault falls there and nowhere else.

========== =======================================================================================
receiving  an association is open and a part of the study is answered
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
from fault_table import Row
from pydicom import dcmread
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from running_node import JOB_S, RunningNode
from small_study import write_small_study

from node.emulate.archive import Archive, Receipt
from node.emulate.phantom import WrittenSeries
from node.jobs.state import FINISHED, JobState

TRIES = 4
"""A stage that lasts milliseconds may be over before the worker is stopped; then with a new one."""

AS_MADE = frozenset({str(SegmentationStorage), str(Comprehensive3DSRStorage)})
"""SOP classes of a result that nobody refused."""

Held = AbstractContextManager[WrittenSeries]


class Bench:
    """Node, archive and fresh studies; every conclusion is a row of the table.

    Parameters
    ----------
    node : RunningNode
    archive : Archive
        To which the node sends what these tests send it.
    folder : Path
        For the studies.
    rows : list of Row
    """

    def __init__(self, node: RunningNode, archive: Archive, folder: Path, rows: list[Row]) -> None:
        self.node = node
        self.archive = archive
        self._rows = rows
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

    def conclude(
        self,
        study_instance_uid: str,
        *,
        fault: str,
        stage: str,
        dead_lettered: int = 0,
        classes: frozenset[str] = AS_MADE,
    ) -> None:
        """Wait for the end of a study, note what came of it, and let nothing be lost or doubled.

        An object whose answer was lost may come again, the same in every byte: archives know it
        by its UID.
        """
        job = self.node.wait_for_end(study_instance_uid)
        receipts = self.receipts_of(study_instance_uid)
        contents = {(one.sop_class_uid, one.sop_instance_uid, one.sha256) for one in receipts}
        kinds = Counter(sop_class for sop_class, _, _ in contents)
        row = Row(
            fault=fault,
            stage=stage,
            results=int(job.state is JobState.DELIVERED and kinds.keys() == classes),
            dead_lettered=dead_lettered,
            sent_again=len(receipts) - len(contents),
            doubled=int(any(number > 1 for number in kinds.values())),
        )
        self._rows.append(row)
        assert (job.state, job.error) == (JobState.DELIVERED, ""), self.node.log_tail()
        assert (row.lost, row.doubled) == (0, 0), kinds
        if classes == AS_MADE:
            promised = {entry["sop_instance_uid"] for entry in job.result["evidence"]} - {""}
            assert {one.sop_instance_uid for one in receipts} == promised

    def is_delivered_whole(self, study_instance_uid: str) -> bool:
        """Tell whether a study is at rest with a result that is neither lacking nor double."""
        job = self.node.wait_for_end(study_instance_uid)
        contents = {(one.sop_class_uid, one.sha256) for one in self.receipts_of(study_instance_uid)}
        return job.state is JobState.DELIVERED and sorted(c for c, _ in contents) == sorted(AS_MADE)


@contextmanager
def hold_received(bench: Bench) -> Iterator[WrittenSeries]:
    """Hold a study that has arrived and of which nobody has taken notice."""
    study = bench.make_study()
    with bench.node.stopped("dispatcher"):
        bench.node.send(study.paths)
        assert bench.node.jobs(study.study_instance_uid) == []
        yield study


@contextmanager
def hold_queued(bench: Bench) -> Iterator[WrittenSeries]:
    """Hold a study whose job waits."""
    study = bench.make_study()
    with bench.node.stopped("scheduler"):
        bench.node.send(study.paths)
        bench.node.wait_for(lambda: bench.node.jobs(study.study_instance_uid), "a job", JOB_S)
        assert bench.node.job(study.study_instance_uid).state is JobState.QUEUED
        yield study


def hold_in_stage(stage: str) -> Callable[[Bench], Held]:
    """Return what holds a study in a stage of the worker."""

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
            assert bench.is_delivered_whole(study.study_instance_uid)
        pytest.fail(f"the worker was never caught in stage {stage}")

    return hold


def wait_for_stage(node: RunningNode, study_instance_uid: str, stage: str) -> None:
    """Wait until the job of a study is in a stage, or past all of them."""

    def is_there_or_past() -> bool:
        job = node.job(study_instance_uid)
        return job is not None and (job.stage == stage or job.state in FINISHED)

    node.wait_for(is_there_or_past, f"stage {stage}", JOB_S)


@contextmanager
def hold_sending(bench: Bench) -> Iterator[WrittenSeries]:
    """Hold a study of which the archive has stored the first object, without an answer."""
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
