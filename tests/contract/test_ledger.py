"""The ledger of jobs over both databases."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from factories_ledger import queue_job
from numpy.random import default_rng
from sqlalchemy import Engine
from stopped_clock import StoppedClock

from node.domain.errors import InputRejected, Problem, SetupFault, TryLater
from node.domain.report import Evidence, EvidenceKind
from node.jobs.failure import record_failure
from node.jobs.job import Job
from node.jobs.ledger import Ledger
from node.jobs.state import FINISHED, IllegalTransition, JobState
from node.jobs.timing import stage_seconds
from node.storage.database import open_database

PROBLEM = Problem(code="one-slice", found="1 slice", expected="3 slices", remedy="send the series")
SEG_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def ledger(engine: Engine, clock: StoppedClock) -> Ledger:
    return Ledger(engine, lease_s=60, maximum_attempts=3, retry_backoff_s=5, now=clock)


def add_job(ledger: Ledger, *, study: str = "1.2", digest: str = "d", **changes: object) -> Job:
    return queue_job(ledger, study, **({"content_digest": digest, "rule": "mr-brain"} | changes))


def make_evidence(*numbers: int) -> list[Evidence]:
    made = [
        Evidence(
            kind=EvidenceKind.SEG,
            path=Path(f"results/{number}_seg.dcm"),
            sop_class_uid=SEG_STORAGE,
            sop_instance_uid=f"2.25.{number}",
            series_instance_uid="2.25.9",
        )
        for number in numbers
    ]
    return [*made, Evidence(kind=EvidenceKind.OVERLAY, path=Path("results/overlay.png"))]


def names_of(ledger: Ledger, job: Job) -> list[str]:
    return [line.event for line in ledger.events(job.job_id)]


def test_a_job_goes_all_the_way_and_its_history_tells_so(
    ledger: Ledger, clock: StoppedClock
) -> None:
    job = add_job(ledger)
    assert (job.state, job.attempts) == (JobState.QUEUED, 0)
    clock.pass_seconds(2)
    claimed = ledger.claim("w1")
    assert claimed is not None
    assert (claimed.job_id, claimed.state, claimed.attempts) == (job.job_id, JobState.RUNNING, 1)
    assert claimed.lease_until == clock() + timedelta(seconds=60)
    assert ledger.enter_stage(job.job_id, "w1", "segment")
    clock.pass_seconds(3)
    assert ledger.enter_stage(job.job_id, "w1", "report")
    clock.pass_seconds(1)
    finished = ledger.finish(job.job_id, "w1", evidence=make_evidence(1), result={"lesions": 1})
    assert (finished.state, finished.result) == (JobState.SENDING, {"lesions": 1})
    (delivery,) = ledger.claim_deliveries("d1")
    clock.pass_seconds(0.5)
    ledger.delivery_done(delivery.delivery_id, "d1")
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    assert names_of(ledger, job) == ["add", "claim", "stage", "stage", "finish", "accepted"]
    assert stage_seconds(ledger.events(job.job_id)) == {
        "wait": 2.0,
        "segment": 3.0,
        "report": 1.0,
        "send": 0.5,
    }


def test_the_same_work_is_one_job(ledger: Ledger) -> None:
    first = add_job(ledger)
    ledger.claim("w1")
    again = add_job(ledger)
    assert (again.job_id, again.state) == (first.job_id, JobState.RUNNING)
    assert add_job(ledger, rule="other").job_id != first.job_id
    assert add_job(ledger, bundle="other").job_id != first.job_id
    assert len(ledger.list()) == 3


def test_later_content_replaces_unfinished_work_on_the_same_series(
    ledger: Ledger, clock: StoppedClock
) -> None:
    early = add_job(ledger, digest="half")
    clock.pass_seconds(1)
    other_series = add_job(ledger, digest="x", series_instance_uids=["1.2.2"])
    claimed = ledger.claim("w1")
    assert claimed is not None
    whole = add_job(ledger, digest="whole")
    replaced = ledger.get(early.job_id)
    assert replaced.state is JobState.CANCELLED
    assert whole.job_id in replaced.error
    assert ledger.get(other_series.job_id).state is JobState.QUEUED
    assert not ledger.renew(early.job_id, "w1")


def test_delivered_work_is_not_replaced(ledger: Ledger) -> None:
    early = add_job(ledger, digest="half")
    ledger.claim("w1")
    ledger.finish(early.job_id, "w1", evidence=[], result={})
    add_job(ledger, digest="whole")
    assert ledger.get(early.job_id).state is JobState.DELIVERED


def test_claims_are_first_come_first_served_and_end(ledger: Ledger, clock: StoppedClock) -> None:
    expected = []
    for number in range(3):
        expected.append(add_job(ledger, study=f"1.{number}").job_id)
        clock.pass_seconds(1)
    claimed = [ledger.claim(f"w{number}") for number in range(4)]
    assert [job.job_id if job else None for job in claimed] == [*expected, None]


def _claim_all(url: str, owner: str, start: object, claimed: object) -> None:
    ledger = Ledger(open_database(url), lease_s=60)
    start.wait(20)  # type: ignore[attr-defined]  # a proxy has no type
    while job := ledger.claim(owner):
        claimed.put(job.job_id)  # type: ignore[attr-defined]  # a queue of the spawn context
    claimed.put(None)  # type: ignore[attr-defined]  # a queue of the spawn context


def test_two_processes_never_claim_the_same_job(ledger: Ledger, database_url: str) -> None:
    wanted = {add_job(ledger, study=f"1.{number}").job_id for number in range(30)}
    context = multiprocessing.get_context("spawn")
    start, claimed = context.Barrier(2), context.Queue()
    workers = [
        context.Process(target=_claim_all, args=(database_url, name, start, claimed))
        for name in ("a", "b")
    ]
    for worker in workers:
        worker.start()
    found: list[str] = []
    ended = 0
    while ended < 2:
        job_id = claimed.get(timeout=30)
        ended += job_id is None
        found += [job_id] if job_id else []
    for worker in workers:
        worker.join(10)
    assert sorted(found) == sorted(wanted)


def test_threads_never_claim_the_same_job(ledger: Ledger) -> None:
    for number in range(20):
        add_job(ledger, study=f"1.{number}")
    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda number: ledger.claim(f"w{number}"), range(20)))
    assert len({job.job_id for job in claimed if job}) == 20


def test_a_lapsed_lease_is_claimed_again_and_its_old_owner_is_powerless(
    ledger: Ledger, clock: StoppedClock
) -> None:
    job = add_job(ledger)
    ledger.claim("w1")
    clock.pass_seconds(59)
    assert ledger.renew(job.job_id, "w1")
    clock.pass_seconds(59)
    assert ledger.reclaim_lapsed() == 0
    clock.pass_seconds(2)
    assert ledger.reclaim_lapsed() == 1
    assert ledger.claim("w2") is not None
    assert not ledger.renew(job.job_id, "w1")
    assert not ledger.enter_stage(job.job_id, "w1", "segment")
    kept = ledger.finish(job.job_id, "w1", evidence=make_evidence(1), result={"lesions": 1})
    assert (kept.state, kept.lease_owner, kept.result) == (JobState.RUNNING, "w2", {})
    assert ledger.fail(job.job_id, "w1", error="late", retry=True).state is JobState.RUNNING
    assert ledger.reject(job.job_id, "w1", problems=[PROBLEM]).state is JobState.RUNNING
    assert ledger.deliveries(job.job_id) == []
    assert names_of(ledger, job) == ["add", "claim", "lapse", "claim"]


def test_a_job_that_kills_its_worker_is_given_up(ledger: Ledger, clock: StoppedClock) -> None:
    job = add_job(ledger)
    for number in range(3):
        assert ledger.claim(f"w{number}") is not None
        clock.pass_seconds(61)
        ledger.reclaim_lapsed()
    assert ledger.get(job.job_id).state is JobState.FAILED
    assert ledger.claim("w4") is None


def test_attempts_back_off_and_end(ledger: Ledger, clock: StoppedClock) -> None:
    job = add_job(ledger)
    for wait_s in (5, 10):
        ledger.claim("w")
        failed = ledger.fail(job.job_id, "w", error="ValueError", retry=True)
        assert failed.state is JobState.QUEUED
        assert failed.not_before == clock() + timedelta(seconds=wait_s)
        clock.pass_seconds(wait_s - 1)
        assert ledger.claim("w") is None
        clock.pass_seconds(1)
    ledger.claim("w")
    assert ledger.fail(job.job_id, "w", error="ValueError", retry=True).state is JobState.FAILED
    assert ledger.get(job.job_id).error == "ValueError"


def test_a_generator_spreads_retries_below_the_ceiling(engine: Engine, clock: StoppedClock) -> None:
    spread = Ledger(
        engine,
        lease_s=60,
        retry_backoff_s=100,
        retry_backoff_maximum_s=100,
        now=clock,
        generator=default_rng(3),
    )
    waits = []
    for number in range(5):
        job = add_job(spread, study=f"1.{number}")
        spread.claim("w")
        failed = spread.fail(job.job_id, "w", error="x", retry=True)
        waits.append((failed.not_before - clock()).total_seconds())
    assert len(set(waits)) == 5
    assert all(50 <= wait <= 100 for wait in waits)


@pytest.mark.parametrize(
    ("error", "state", "attempts"),
    [
        (InputRejected([PROBLEM]), JobState.REJECTED, 1),
        (TryLater("disk full"), JobState.QUEUED, 0),
        (SetupFault("no bundle"), JobState.FAILED, 1),
        (ValueError("Doe^Jane"), JobState.QUEUED, 1),
    ],
)
def test_errors_do_what_the_table_says(
    ledger: Ledger, error: Exception, state: JobState, attempts: int
) -> None:
    job = add_job(ledger)
    ledger.claim("w")
    after = record_failure(ledger, job.job_id, "w", error)
    assert (after.state, after.attempts) == (state, attempts)
    assert after.problems == ((PROBLEM,) if state is JobState.REJECTED else ())
    assert after.error
    assert "Doe" not in after.error


def test_postponed_work_never_runs_out_of_attempts(ledger: Ledger, clock: StoppedClock) -> None:
    job = add_job(ledger)
    waits = []
    for _ in range(6):
        assert ledger.claim("w") is not None
        postponed = ledger.postpone(job.job_id, "w", error="disk full")
        waits.append((postponed.not_before - clock()).total_seconds())
        clock.pass_seconds(waits[-1])
    assert waits == [5, 10, 20, 40, 80, 160]
    assert ledger.get(job.job_id).state is JobState.QUEUED


def test_a_refused_study_is_kept_with_its_problems(ledger: Ledger) -> None:
    def refuse() -> Job:
        return ledger.add_rejected(
            study_instance_uid="1.2",
            calling_ae_title="MODALITY",
            content_digest="d",
            problems=[PROBLEM],
        )

    job = refuse()
    assert (job.state, job.problems, job.error) == (JobState.REJECTED, (PROBLEM,), "one-slice")
    assert refuse().job_id == job.job_id
    assert names_of(ledger, job) == ["refuse"]
    with pytest.raises(IllegalTransition):
        ledger.retry(job.job_id)  # there is no series to process


def test_a_person_may_retry_and_cancel(ledger: Ledger) -> None:
    job = add_job(ledger)
    ledger.claim("w")
    assert ledger.cancel(job.job_id).state is JobState.CANCELLED
    assert not ledger.renew(job.job_id, "w")
    with pytest.raises(IllegalTransition):
        ledger.cancel(job.job_id)
    again = ledger.retry(job.job_id)
    assert (again.state, again.attempts, again.error) == (JobState.QUEUED, 0, "")
    assert ledger.claim("w2") is not None


@pytest.mark.parametrize("call", ["get", "retry", "cancel", "forget"])
def test_an_unknown_job_is_a_key_error(ledger: Ledger, call: str) -> None:
    method: Callable[[str], object] = getattr(ledger, call)
    with pytest.raises(KeyError, match="nowhere"):
        method("nowhere")


def test_jobs_are_listed_latest_first_by_state_and_study(
    ledger: Ledger, clock: StoppedClock
) -> None:
    first = add_job(ledger, study="1.1")
    clock.pass_seconds(1)
    second = add_job(ledger, study="1.2")
    ledger.claim("w")
    assert [job.job_id for job in ledger.list()] == [second.job_id, first.job_id]
    assert [job.job_id for job in ledger.list(state=JobState.RUNNING)] == [first.job_id]
    assert [job.job_id for job in ledger.list(study="1.2")] == [second.job_id]
    assert len(ledger.list(limit=1)) == 1


def test_leases_of_a_dead_node_are_released_at_once(ledger: Ledger) -> None:
    started, waiting, foreign = (add_job(ledger, study=f"1.{number}") for number in range(3))
    for owner in ("host_a/1", "host_a/2", "host-a/3"):
        ledger.claim(owner)
    by_owner = {job.lease_owner: job for job in ledger.list()}
    assert len(by_owner) == len({started.job_id, waiting.job_id, foreign.job_id})
    ledger.enter_stage(by_owner["host_a/1"].job_id, "host_a/1", "segment")
    assert ledger.release_leases("host_a/", only_unstarted=True) == 1
    assert ledger.get(by_owner["host_a/1"].job_id).state is JobState.RUNNING
    assert ledger.release_leases("host_a/") == 1
    assert ledger.get(by_owner["host-a/3"].job_id).state is JobState.RUNNING


def test_only_finished_jobs_are_purged(ledger: Ledger, clock: StoppedClock) -> None:
    old, live = add_job(ledger, study="1.1"), add_job(ledger, study="1.2")
    ledger.cancel(old.job_id)
    clock.pass_seconds(10)
    assert [job.job_id for job in ledger.finished_before(clock())] == [old.job_id]
    ledger.forget(old.job_id)
    with pytest.raises(KeyError):
        ledger.get(old.job_id)
    with pytest.raises(ValueError, match="queued"):
        ledger.forget(live.job_id)
    assert ledger.get(live.job_id).state not in FINISHED
