"""A message of an older evaluation never comes after that of a newer one; both databases."""

from pathlib import Path

import pytest
from factories_ledger import queue_job
from sqlalchemy import Engine
from stopped_clock import StoppedClock

from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import DeliveryState, Job
from node.jobs.ledger import Ledger
from node.jobs.state import IllegalTransition, JobState

MESSAGES = [EvidenceKind.ORU, EvidenceKind.FHIR]


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def ledger(engine: Engine, clock: StoppedClock) -> Ledger:
    return Ledger(engine, lease_s=60, delivery_maximum_attempts=3, delivery_backoff_s=5, now=clock)


@pytest.fixture(params=MESSAGES)
def kind(request: pytest.FixtureRequest) -> EvidenceKind:
    return EvidenceKind(request.param)


def start(ledger: Ledger, clock: StoppedClock, content: str, **changes: object) -> Job:
    clock.pass_seconds(1)
    arguments: dict[str, object] = {"bundle": "brain/1.0", "destinations": ["ris"]}
    return queue_job(ledger, content_digest=content, **(arguments | changes))


def finish(ledger: Ledger, folder: Path, kind: EvidenceKind, uid: str) -> Job:
    """Bring the next job of the queue as far as its message is to be sent."""
    job = ledger.claim(uid)
    assert job is not None
    path = folder / uid
    path.write_bytes(b"x")
    evidence = Evidence(kind=kind, path=path, sop_instance_uid=uid)
    return ledger.finish(job.job_id, uid, evidence=[evidence], result={})


def send(ledger: Ledger, *, accepted: bool = True, retry: bool = True) -> list[str]:
    """Do what the outbox does; return what was sent."""
    claimed = ledger.claim_deliveries("o")
    for each in claimed:
        if accepted:
            ledger.delivery_done(each.delivery_id, "o")
        else:
            ledger.delivery_failed(each.delivery_id, "o", error="away", retry=retry)
    return [each.sop_instance_uid for each in claimed]


@pytest.mark.parametrize("retry", [True, False])
def test_an_older_message_that_waits_is_superseded(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path, kind: EvidenceKind, retry: bool
) -> None:
    older = start(ledger, clock, "one")
    finish(ledger, tmp_path, kind, "2.25.1")
    assert send(ledger, accepted=False, retry=retry) == ["2.25.1"]
    newer = start(ledger, clock, "two", bundle="brain/1.1")
    finish(ledger, tmp_path, kind, "2.25.2")
    (waited,) = ledger.deliveries(older.job_id)
    assert waited.state is DeliveryState.REPLACED
    assert waited.error == f"superseded by the later evaluation {newer.job_id}"
    clock.pass_seconds(3600)
    if not retry:
        ledger.retry(older.job_id)
    assert send(ledger) == ["2.25.2"]
    ledger.settle_sending()
    assert ledger.get(older.job_id).state is JobState.DELIVERED
    assert ledger.get(newer.job_id).state is JobState.DELIVERED


def test_an_answer_to_a_superseded_message_is_kept(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path, kind: EvidenceKind
) -> None:
    older = start(ledger, clock, "one")
    finish(ledger, tmp_path, kind, "2.25.1")
    (under_way,) = ledger.claim_deliveries("o")
    start(ledger, clock, "two")
    finish(ledger, tmp_path, kind, "2.25.2")
    ledger.delivery_done(under_way.delivery_id, "o")
    assert [each.state for each in ledger.deliveries(older.job_id)] == [DeliveryState.ACCEPTED]
    assert send(ledger) == ["2.25.2"]


def test_an_older_evaluation_that_ends_later_is_not_told(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path, kind: EvidenceKind
) -> None:
    older = start(ledger, clock, "one")
    ledger.cancel(older.job_id)
    newer = start(ledger, clock, "two")
    finish(ledger, tmp_path, kind, "2.25.2")
    assert send(ledger) == ["2.25.2"]
    ledger.retry(older.job_id)
    assert finish(ledger, tmp_path, kind, "2.25.1").state is JobState.DELIVERED
    (delivery,) = ledger.deliveries(older.job_id)
    assert delivery.error == f"superseded by the later evaluation {newer.job_id}"
    assert send(ledger) == []


def test_an_older_message_is_not_sent_again(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path, kind: EvidenceKind
) -> None:
    older = start(ledger, clock, "one")
    finish(ledger, tmp_path, kind, "2.25.1")
    send(ledger)
    newer = start(ledger, clock, "two")
    finish(ledger, tmp_path, kind, "2.25.2")
    send(ledger)
    with pytest.raises(IllegalTransition):
        ledger.send_again(older.job_id)
    ledger.send_again(newer.job_id)
    assert send(ledger) == ["2.25.2"]


@pytest.mark.parametrize(
    "other",
    [{"study": "1.3"}, {"bundle": "brain2/1.0"}, {"destinations": ["fhir"]}],
    ids=["study", "model", "receiver"],
)
def test_messages_about_something_else_stay(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path, kind: EvidenceKind, other: dict[str, str]
) -> None:
    start(ledger, clock, "one")
    finish(ledger, tmp_path, kind, "2.25.1")
    start(ledger, clock, "two", **other)
    finish(ledger, tmp_path, kind, "2.25.2")
    assert sorted(send(ledger)) == ["2.25.1", "2.25.2"]


def test_objects_of_an_older_evaluation_are_sent(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    start(ledger, clock, "one")
    finish(ledger, tmp_path, EvidenceKind.SR, "2.25.1")
    start(ledger, clock, "two")
    finish(ledger, tmp_path, EvidenceKind.SR, "2.25.2")
    assert sorted(send(ledger)) == ["2.25.1", "2.25.2"]
