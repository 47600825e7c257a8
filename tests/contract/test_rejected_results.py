"""Results that were rejected are not sent again, on both databases."""

from pathlib import Path

import pytest
from factories_feedback import make_opinion
from factories_ledger import queue_job
from sqlalchemy import Engine

from node.domain.feedback import FeedbackKind
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import DeliveryState, Job
from node.jobs.ledger import Ledger
from node.jobs.rejected import rejected_among
from node.jobs.state import IllegalTransition, JobState
from node.storage.feedback import FeedbackStore

SEG, SR = "2.25.1", "2.25.2"


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine, lease_s=60, maximum_attempts=3)


def finish(ledger: Ledger, folder: Path, **changes: object) -> Job:
    """A job whose SEG and SR are to be sent."""
    job = queue_job(ledger, **changes)
    assert ledger.claim("w") is not None
    evidence = []
    for kind, uid in ((EvidenceKind.SEG, SEG), (EvidenceKind.SR, SR)):
        path = folder / f"{uid}.dcm"
        path.write_bytes(b"x")
        evidence.append(Evidence(kind=kind, path=path, sop_class_uid="1.2", sop_instance_uid=uid))
    return ledger.finish(job.job_id, "w", evidence=evidence, result={})


def reject(engine: Engine, uid: str = SEG) -> None:
    FeedbackStore(engine).add(
        make_opinion(
            kind=FeedbackKind.REJECTION, comment="for quality", result_sop_instance_uid=uid
        )
    )


def states(ledger: Ledger, job: Job) -> list[DeliveryState]:
    return [each.state for each in ledger.deliveries(job.job_id)]


def send(ledger: Ledger, *, accepted: bool = True) -> list[str]:
    """Do what the outbox does; return what was sent."""
    claimed = ledger.claim_deliveries("o")
    for each in claimed:
        if accepted:
            ledger.delivery_done(each.delivery_id, "o")
        else:
            ledger.delivery_failed(each.delivery_id, "o", error="no", retry=False)
    return [each.sop_instance_uid for each in claimed]


def test_what_waits_is_withdrawn_and_the_rest_goes_on(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    job = finish(ledger, tmp_path)
    reject(engine)
    assert ledger.withdraw([SEG], reason="rejected: for quality") == 1
    assert states(ledger, job) == [DeliveryState.REPLACED, DeliveryState.PENDING]
    assert send(ledger) == [SR]
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    assert ledger.deliveries(job.job_id)[0].error == "rejected: for quality"
    assert ledger.withdraw([SEG, SR], reason="again") == 0


def test_what_was_given_up_is_not_sent_by_a_retry(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    job = finish(ledger, tmp_path)
    send(ledger, accepted=False)
    assert ledger.get(job.job_id).state is JobState.FAILED
    reject(engine)
    assert ledger.withdraw([SEG], reason="rejected") == 1
    ledger.retry(job.job_id)
    assert send(ledger) == [SR]


def test_what_was_delivered_is_not_sent_again_by_a_person(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    job = finish(ledger, tmp_path)
    assert send(ledger) == [SEG, SR]
    reject(engine)
    ledger.send_again(job.job_id)
    assert send(ledger) == [SR]
    reject(engine, SR)
    with pytest.raises(IllegalTransition):
        ledger.send_again(job.job_id)


def test_another_destination_does_not_get_it_either(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    finish(ledger, tmp_path)
    send(ledger)
    reject(engine)
    other = finish(ledger, tmp_path, rule="other", destinations=["pacs", "archive"])
    assert send(ledger) == [SR]
    assert ledger.get(other.job_id).state is JobState.DELIVERED
    assert rejected_among(engine, [SEG, SR]) == {SEG}
