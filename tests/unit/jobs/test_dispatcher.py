"""The dispatcher's clocks over a real ledger, with an engine that runs tasks in threads."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from factories_ledger import queue_job

from node.config.settings import JobSettings
from node.domain.report import Evidence, EvidenceKind
from node.jobs.dispatcher import Dispatcher, delivery_owner
from node.jobs.engine import Progress
from node.jobs.job import Delivery
from node.jobs.ledger import Ledger
from node.jobs.state import JobState
from node.storage.clock import utc_now
from node.storage.database import open_database, sqlite_url

WAIT_S = 15.0
SETTINGS = JobSettings(poll_interval_s=0.02, lease_s=1, workers=2)


class ThreadExecution:
    """A task in a thread."""

    def __init__(self, future: "Future[None]") -> None:
        self._future = future

    def progress(self) -> Progress:
        if not self._future.done():
            return Progress.PENDING
        return Progress.FAILED if self._future.exception() else Progress.ENDED

    def error(self) -> str:
        return type(self._future.exception()).__name__

    def cancel(self) -> None:
        self._future.cancel()


class ThreadEngine:
    """Runs tasks in threads of this process."""

    def __init__(self, task: Callable[[str, str], None]) -> None:
        self._task = task
        self._pool = ThreadPoolExecutor(2)

    def capacity(self) -> int:
        return 2

    def submit(self, job_id: str, owner: str) -> ThreadExecution:
        return ThreadExecution(self._pool.submit(self._task, job_id, owner))

    def close(self) -> None:
        self._pool.shutdown(wait=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    engine = open_database(sqlite_url(tmp_path))
    yield Ledger(engine, lease_s=1, retry_backoff_s=0.01)
    engine.dispose()


def add_job(ledger: Ledger, number: int) -> str:
    return queue_job(ledger, f"1.{number}").job_id


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {WAIT_S:g} s for {what}"
        time.sleep(0.01)


def test_quiet_studies_become_delivered_results(ledger: Ledger) -> None:
    studies = [1, 2, 3]
    sent: list[str] = []

    def assemble_quiet() -> None:
        while studies:
            add_job(ledger, studies.pop())

    def process(job_id: str, owner: str) -> None:
        evidence = Evidence(
            kind=EvidenceKind.SR,
            path=Path("sr.dcm"),
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
            sop_instance_uid=f"2.25.{int(job_id, 16)}",
        )
        ledger.finish(job_id, owner, evidence=[evidence], result={})

    def deliver(deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            sent.append(delivery.sop_instance_uid)
            ledger.delivery_done(delivery.delivery_id, delivery_owner("node"))

    dispatcher = Dispatcher(
        ledger=ledger,
        engine=ThreadEngine(process),
        assemble_quiet=assemble_quiet,
        deliver=deliver,
        settings=SETTINGS,
        owner="node",
    )
    dispatcher.start()
    try:
        wait_for(lambda: len(ledger.list(state=JobState.DELIVERED)) == 3, "three deliveries")
    finally:
        dispatcher.stop()
    assert len(sent) == len(set(sent)) == 3


def test_a_task_that_breaks_is_tried_again_and_given_up(ledger: Ledger) -> None:
    job_id = add_job(ledger, 1)
    tries: list[str] = []

    def process(_: str, owner: str) -> None:
        tries.append(owner)
        raise ZeroDivisionError

    dispatcher = Dispatcher(
        ledger=ledger,
        engine=ThreadEngine(process),
        assemble_quiet=lambda: None,
        deliver=lambda _: None,
        settings=SETTINGS,
        owner="node",
    )
    dispatcher.start()
    try:
        wait_for(lambda: ledger.get(job_id).state is JobState.FAILED, "the job to be given up")
    finally:
        dispatcher.stop()
    assert len(tries) == len(set(tries)) == 5
    assert ledger.get(job_id).error == "ZeroDivisionError"


def test_a_long_sending_keeps_its_lease_and_old_work_is_purged(ledger: Ledger) -> None:
    job_id = add_job(ledger, 1)
    ledger.claim("w")
    evidence = Evidence(
        kind=EvidenceKind.SR, path=Path("sr.dcm"), sop_class_uid="1.2", sop_instance_uid="2.25.1"
    )
    ledger.finish(job_id, "w", evidence=[evidence], result={})
    batches: list[int] = []
    purged: list[datetime] = []
    go_on = threading.Event()

    def deliver(deliveries: list[Delivery]) -> None:
        batches.append(len(deliveries))
        assert go_on.wait(WAIT_S)
        ledger.delivery_done(deliveries[0].delivery_id, delivery_owner("node"))

    dispatcher = Dispatcher(
        ledger=ledger,
        engine=ThreadEngine(lambda *_: None),
        assemble_quiet=lambda: None,
        deliver=deliver,
        settings=SETTINGS,
        owner="node",
        purge=purged.append,
    )
    dispatcher.start()
    try:
        wait_for(lambda: batches, "the sending to begin")
        began = utc_now()
        # Beyond the lease of 1 s another dispatcher still finds nothing due. A machine that stalls
        # lets it lapse for a moment; a lease that nobody renews stays lapsed.
        wait_for(
            lambda: utc_now() - began > timedelta(seconds=1.5) and not ledger.due_destinations(),
            "a lease beyond its first length",
        )
        go_on.set()
        wait_for(lambda: ledger.get(job_id).state is JobState.DELIVERED, "the delivery")
    finally:
        go_on.set()
        dispatcher.stop()
    assert batches == [1]
    assert abs(utc_now() - purged[0] - timedelta(days=SETTINGS.keep_days)) < timedelta(minutes=1)
