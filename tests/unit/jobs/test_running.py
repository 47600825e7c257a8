"""What the dispatcher does to jobs in an engine, with an engine that obeys the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from factories_ledger import queue_job
from structlog.testing import capture_logs

from node.domain.errors import TryLater
from node.jobs.engine import Progress
from node.jobs.job import Job
from node.jobs.ledger import Ledger
from node.jobs.running import RunningJobs
from node.jobs.state import JobState
from node.storage.database import open_database, sqlite_url


class FakeExecution:
    """An execution that is as far as the test says."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.now = Progress.PENDING
        self.cancelled = False

    def progress(self) -> Progress:
        return self.now

    def error(self) -> str:
        return "KilledWorker"

    def cancel(self) -> None:
        self.cancelled = True


class FakeEngine:
    """An engine that only remembers."""

    def __init__(self) -> None:
        self.threads = 2
        self.is_away = False
        self.executions: list[FakeExecution] = []

    def capacity(self) -> int:
        return self.threads

    def submit(self, job_id: str, owner: str) -> FakeExecution:
        if self.is_away:
            raise TryLater("away")
        self.executions.append(FakeExecution(owner))
        return self.executions[-1]

    def close(self) -> None:
        pass


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    database = open_database(sqlite_url(tmp_path))
    yield Ledger(database, lease_s=60, maximum_attempts=3)
    database.dispose()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def running(ledger: Ledger, engine: FakeEngine) -> RunningJobs:
    return RunningJobs(ledger, engine, owner="node", maximum=5)


def add_job(ledger: Ledger, number: int = 1) -> Job:
    return queue_job(ledger, f"1.{number}")


def test_no_more_is_claimed_than_the_engine_can_run(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    for number in range(4):
        add_job(ledger, number)
    running.tick()
    running.tick()
    assert len(engine.executions) == 2
    assert len(ledger.list(state=JobState.QUEUED)) == 2
    assert len({execution.owner for execution in engine.executions}) == 2


def test_nothing_is_claimed_while_the_engine_is_away(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    engine.threads = 0
    running.tick()
    assert ledger.get(job.job_id).attempts == 0


def test_an_engine_that_leaves_between_claim_and_submit_costs_no_attempt(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    engine.is_away = True
    running.tick()
    after = ledger.get(job.job_id)
    assert (after.state, after.attempts, after.error) == (JobState.QUEUED, 0, "away")


@pytest.mark.parametrize(
    ("progress", "error"),
    [(Progress.FAILED, "KilledWorker"), (Progress.ENDED, "the task ended without a verdict")],
)
def test_the_dispatcher_speaks_for_a_task_that_did_not(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs, progress: Progress, error: str
) -> None:
    job = add_job(ledger)
    running.tick()
    ledger.enter_stage(job.job_id, engine.executions[0].owner, "read")
    engine.executions[0].now = progress
    running.tick()
    after = ledger.get(job.job_id)
    assert (after.state, after.attempts, after.error) == (JobState.QUEUED, 1, error)


def test_a_job_that_only_waited_in_a_worker_that_died_has_not_tried(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    running.tick()
    engine.executions[0].now = Progress.FAILED
    running.tick()
    after = ledger.get(job.job_id)
    assert (after.state, after.attempts) == (JobState.QUEUED, 0)
    assert "died before it" in after.error


def test_a_task_that_ends_just_while_it_is_watched_is_not_missed(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    running.tick()
    execution = engine.executions[0]

    def end_now() -> Progress:
        ledger.finish(job.job_id, execution.owner, evidence=[], result={})
        return Progress.ENDED

    execution.progress = end_now
    with capture_logs() as logged:
        running.tick()
    assert [line["event"] for line in logged] == []
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_a_task_that_concluded_its_job_is_left_alone(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    running.tick()
    ledger.finish(job.job_id, engine.executions[0].owner, evidence=[], result={})
    engine.executions[0].now = Progress.FAILED
    running.tick()
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_a_lost_job_goes_back_at_once_unless_a_worker_began_it(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    jobs = [add_job(ledger, number) for number in range(2)]
    running.tick()
    engine.threads = 0
    begun = ledger.get(jobs[0].job_id)
    ledger.enter_stage(begun.job_id, begun.lease_owner, "segment")
    for execution in engine.executions:
        execution.now = Progress.LOST
    running.tick()
    states = [ledger.get(job.job_id).state for job in jobs]
    assert states == [JobState.RUNNING, JobState.QUEUED]


def test_a_job_that_a_person_cancelled_leaves_the_engine(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    running.tick()
    ledger.cancel(job.job_id)
    running.tick()
    assert engine.executions[0].cancelled


def test_a_job_that_was_removed_meanwhile_holds_up_no_other(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    """The clean-up may be faster than the next look."""
    gone = add_job(ledger)
    running.tick()
    ledger.cancel(gone.job_id)
    ledger.forget(gone.job_id)
    running.renew_waiting()
    job = add_job(ledger, 2)
    running.tick()
    assert engine.executions[0].cancelled
    assert ledger.get(job.job_id).state is JobState.RUNNING


def test_restarts_use_up_no_attempt_of_a_job_that_only_waited(
    ledger: Ledger, engine: FakeEngine
) -> None:
    job = add_job(ledger)
    for _ in range(5):  # of three attempts
        RunningJobs(ledger, engine, owner="node", maximum=1).tick()
        assert ledger.get(job.job_id).state is JobState.RUNNING
        assert RunningJobs(ledger, engine, owner="node", maximum=1).release_waiting() == 1
    after = ledger.get(job.job_id)
    assert (after.state, after.attempts) == (JobState.QUEUED, 0)


def test_a_job_that_no_worker_takes_is_put_back(ledger: Ledger, engine: FakeEngine) -> None:
    impatient = RunningJobs(ledger, engine, owner="node", maximum=1, start_limit_s=0)
    job = add_job(ledger)
    impatient.tick()
    impatient.tick()
    after = ledger.get(job.job_id)
    assert (after.state, after.attempts) == (JobState.QUEUED, 0)
    assert engine.executions[0].cancelled


def test_only_waiting_jobs_are_renewed_by_the_dispatcher(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    jobs = [add_job(ledger, number) for number in range(2)]
    running.tick()
    begun = ledger.get(jobs[0].job_id)
    ledger.enter_stage(begun.job_id, begun.lease_owner, "segment")
    before = [ledger.get(job.job_id).lease_until for job in jobs]
    running.renew_waiting()
    after = [ledger.get(job.job_id).lease_until for job in jobs]
    assert before[0] == after[0]
    assert before[1] is not None
    assert after[1] is not None
    assert before[1] < after[1]


def test_a_new_dispatcher_takes_back_what_the_last_one_left(
    ledger: Ledger, engine: FakeEngine, running: RunningJobs
) -> None:
    job = add_job(ledger)
    running.tick()
    successor = RunningJobs(ledger, FakeEngine(), owner="node", maximum=1)
    assert RunningJobs(ledger, engine, owner="nod", maximum=1).release_waiting() == 0
    assert successor.release_waiting() == 1
    assert ledger.get(job.job_id).state is JobState.QUEUED
