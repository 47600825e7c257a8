"""Which job comes next, over both databases: priority, age, memory; the same work is one job."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest
from factories_ledger import queue_job
from sqlalchemy import Engine
from stopped_clock import StoppedClock

from node.domain.priority import HEAD_START, Priority
from node.domain.report import Evidence, EvidenceKind
from node.jobs.figures import measure_ledger
from node.jobs.job import Job
from node.jobs.ledger import Ledger
from node.jobs.state import JobState

GB = 2**30
HOUR_S = 3600
STAT, HIGH, ROUTINE = Priority.STAT, Priority.HIGH, Priority.ROUTINE


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def ledger(engine: Engine, clock: StoppedClock) -> Ledger:
    return Ledger(engine, lease_s=60, retry_backoff_s=5, now=clock)


def add_job(
    ledger: Ledger, number: int, priority: Priority = ROUTINE, memory_bytes: int = 0
) -> str:
    return queue_job(ledger, f"1.{number}", priority=priority, memory_bytes=memory_bytes).job_id


def claim_all(ledger: Ledger) -> list[str]:
    claimed: list[str] = []
    while job := ledger.claim(f"w/{len(claimed)}"):
        claimed.append(job.job_id)
    return claimed


def finish(ledger: Ledger, job: Job | None, *uids: str) -> None:
    assert job is not None
    evidence = [
        Evidence(
            kind=EvidenceKind.SEG,
            path=Path(f"{uid}.dcm"),
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            sop_instance_uid=uid,
        )
        for uid in uids
    ]
    ledger.finish(job.job_id, job.lease_owner, evidence=evidence, result={})


def test_the_urgent_go_first_and_then_the_oldest(ledger: Ledger, clock: StoppedClock) -> None:
    order: Sequence[Priority] = (ROUTINE, HIGH, ROUTINE, STAT, HIGH, STAT)
    ids = []
    for number, priority in enumerate(order):
        ids.append(add_job(ledger, number, priority))
        clock.pass_seconds(60)
    assert ledger.get(ids[3]).priority is STAT
    assert claim_all(ledger) == [ids[number] for number in (3, 5, 1, 4, 0, 2)]


def test_a_running_job_goes_on_when_an_urgent_one_comes(ledger: Ledger) -> None:
    routine = add_job(ledger, 1)
    ledger.claim("w/1")
    stat = add_job(ledger, 2, STAT)
    assert ledger.get(routine).lease_owner == "w/1"
    assert claim_all(ledger) == [stat]


@pytest.mark.parametrize("urgent", [STAT, HIGH])
def test_routine_work_is_not_starved_by_a_stream_of_urgent_work(
    ledger: Ledger, clock: StoppedClock, urgent: Priority
) -> None:
    """The worker takes one job an hour, and as many urgent ones come."""
    routine = add_job(ledger, 0)
    head_start_h = round(HEAD_START[urgent] / timedelta(hours=1))
    waited_h = 0
    while True:
        add_job(ledger, 1 + waited_h, urgent)
        claimed = ledger.claim(f"w/{waited_h}")
        assert claimed is not None
        if claimed.job_id == routine:
            break
        clock.pass_seconds(HOUR_S)
        waited_h += 1
        assert waited_h < 30
    assert waited_h == head_start_h


def test_a_job_that_a_person_retries_queues_anew(ledger: Ledger, clock: StoppedClock) -> None:
    failed = add_job(ledger, 1)
    ledger.claim("w/1")
    ledger.fail(failed, "w/1", error="broken", retry=False)
    clock.pass_seconds(3 * HOUR_S)  # more than the head start of the other
    ledger.retry(failed)
    high = add_job(ledger, 2, HIGH)
    assert claim_all(ledger) == [high, failed]


def test_urgent_results_are_sent_first(ledger: Ledger, clock: StoppedClock) -> None:
    for number, priority in enumerate((ROUTINE, ROUTINE, STAT)):
        add_job(ledger, number, priority)
        finish(ledger, ledger.claim(f"w/{number}"), f"2.{number}.1", f"2.{number}.2")
        clock.pass_seconds(60)
    first = ledger.claim_deliveries("o", limit=3, destination="pacs")
    assert [one.sop_instance_uid for one in first] == ["2.2.1", "2.2.2", "2.0.1"]


def test_the_queue_is_told_by_priority(ledger: Ledger, engine: Engine, clock: StoppedClock) -> None:
    add_job(ledger, 1, STAT)
    clock.pass_seconds(30)
    for number in (2, 3):
        add_job(ledger, number)
    state = measure_ledger(engine, now=clock)
    assert state.queue == {"stat": 1, "high": 0, "routine": 2}
    assert state.queue_oldest_s == {"stat": 30.0, "high": 0.0, "routine": 0.0}
    claim_all(ledger)
    assert set(measure_ledger(engine, now=clock).queue.values()) == {0}


def test_a_job_waits_for_memory_and_holds_up_those_behind_it(
    ledger: Ledger, clock: StoppedClock
) -> None:
    ids = []
    for number, need in enumerate((2, 3, 1)):
        ids.append(add_job(ledger, number, memory_bytes=need * GB))
        clock.pass_seconds(1)
    running, large, small = ids
    first = ledger.claim("w/1", memory_limit_bytes=4 * GB)
    assert first is not None
    assert first.job_id == running
    for _ in range(3):  # 2 and 1 GB would fit together, yet the large one is next
        assert ledger.claim("w/2", memory_limit_bytes=4 * GB) is None
    told = ledger.get(large)
    assert (told.state, told.error) == (
        JobState.QUEUED,
        "waits for memory: needs 3072 MB of 4096 MB",
    )
    assert [line.event for line in ledger.events(large)] == ["add", "wait"]  # told once
    assert ledger.get(small).error == ""
    finish(ledger, first)
    claimed = [ledger.claim(f"w/{n}", memory_limit_bytes=4 * GB) for n in (3, 4)]
    assert [job.job_id for job in claimed if job] == [large, small]
    assert ledger.get(large).error == ""


def test_memory_of_other_dispatchers_is_not_counted(ledger: Ledger) -> None:
    for number in (1, 2):
        add_job(ledger, number, memory_bytes=3 * GB)
    assert ledger.claim("host1/NODE/a", memory_limit_bytes=4 * GB) is not None
    assert ledger.claim("host1/NODE/b", memory_limit_bytes=4 * GB) is None
    assert ledger.claim("host2/NODE/a", memory_limit_bytes=4 * GB) is not None


def test_a_job_that_can_never_fit_fails_at_once_and_the_next_one_runs(ledger: Ledger) -> None:
    huge = add_job(ledger, 1, STAT, memory_bytes=9 * GB)
    fitting = add_job(ledger, 2, memory_bytes=4 * GB)
    claimed = ledger.claim("w/1", memory_limit_bytes=4 * GB)
    assert claimed is not None
    assert claimed.job_id == fitting
    failed = ledger.get(huge)
    assert failed.state is JobState.FAILED
    assert failed.lease_owner == ""
    (problem,) = failed.problems
    assert problem.code == "needs-more-memory"
    assert "9216 MB" in problem.found
    assert "4096 MB" in problem.expected
    assert "jobs.memory_limit_mb" in problem.remedy
    finish(ledger, claimed)
    assert ledger.retry(huge).state is JobState.QUEUED
    again = ledger.claim("w/2", memory_limit_bytes=16 * GB)
    assert again is not None
    assert again.job_id == huge


def test_the_same_work_added_at_the_same_time_is_one_job(ledger: Ledger) -> None:
    start = Barrier(8)

    def add(_: int) -> str:
        start.wait(20)
        return add_job(ledger, 1)

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(add, range(8)))
    assert len(ids) == len(ledger.list()) == 1
    assert [line.event for line in ledger.events(ids.pop())] == ["add"]
