"""Proofs of delivery over both databases: asked for, late, refused, lost."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from stopped_clock import StoppedClock

from node.domain.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_OBJECT_INSTANCE,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    CommitmentReport,
)
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import CommitmentState, DeliveryState, Job
from node.jobs.ledger import Ledger
from node.jobs.state import JobState

SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.34"
UIDS = ("2.25.1", "2.25.2")
HOUR_S = 3600


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def ledger(engine: Engine, clock: StoppedClock) -> Ledger:
    return open_ledger(engine, clock)


def open_ledger(engine: Engine, clock: StoppedClock, *, required: bool = False) -> Ledger:
    return Ledger(
        engine,
        lease_s=60,
        delivery_backoff_s=5,
        commitment={"pacs": required},
        maximum_losses=2,
        maximum_commitment_attempts=2,
        now=clock,
    )


def deliver(ledger: Ledger, folder: Path, *uids: str, rule: str = "r") -> Job:
    """Bring a job to DELIVERED; the files of its results exist."""
    folder.mkdir(exist_ok=True)
    job = ledger.add_job(
        study_instance_uid="1.2",
        series_instance_uids=["1.2.1"],
        bundle="brain",
        rule=rule,
        destinations=("pacs", "other"),
        calling_ae_title="MODALITY",
        content_digest="d",
    )
    ledger.claim("worker")
    evidence = []
    for uid in uids:
        path = folder / f"{uid}.dcm"
        path.touch()
        evidence.append(
            Evidence(
                kind=EvidenceKind.SR,
                path=path,
                sop_class_uid=SR_STORAGE,
                sop_instance_uid=uid,
            )
        )
    ledger.finish(job.job_id, "worker", evidence=evidence, result={})
    accept_all(ledger)
    return ledger.get(job.job_id)


def accept_all(ledger: Ledger) -> list[str]:
    claimed = ledger.claim_deliveries("d")
    for delivery in claimed:
        ledger.delivery_done(delivery.delivery_id, "d")
    return [delivery.sop_instance_uid for delivery in claimed]


def ask(ledger: Ledger, clock: StoppedClock, uid: str = "2.25.99") -> str:
    clock.pass_seconds(3)
    transaction = ledger.open_transaction("pacs", transaction_uid=uid, answer_within_s=HOUR_S)
    assert transaction is not None
    return transaction.transaction_uid


def states(ledger: Ledger, job: Job) -> dict[str, str]:
    return {
        delivery.sop_instance_uid: delivery.state.value
        for delivery in ledger.deliveries(job.job_id)
        if delivery.destination == "pacs"
    }


def events(ledger: Ledger, job: Job) -> list[str]:
    return [line.event for line in ledger.events(job.job_id)]


def test_accepted_is_delivered_and_committed_comes_later(
    engine: Engine, ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, *UIDS)
    assert job.state is JobState.DELIVERED
    assert ledger.destinations_to_prove() == []
    clock.pass_seconds(3)
    assert ledger.destinations_to_prove() == ["pacs"]
    transaction = ledger.open_transaction("pacs", transaction_uid="2.25.9", answer_within_s=HOUR_S)
    assert transaction is not None
    assert transaction.objects == tuple((SR_STORAGE, uid) for uid in UIDS)
    assert ledger.destinations_to_prove() == []
    assert ledger.open_transaction("pacs", transaction_uid="2.25.8", answer_within_s=1) is None
    after_restart = open_ledger(engine, clock)
    answer = CommitmentReport(transaction_uid="2.25.9", committed=frozenset(UIDS))
    assert after_restart.record_report(answer)
    assert states(ledger, job) == dict.fromkeys(UIDS, "committed")
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    assert "committed" not in events(ledger, job), "the other destination was not asked"


def test_the_job_tells_when_everything_is_proven(
    engine: Engine, clock: StoppedClock, tmp_path: Path
) -> None:
    ledger = Ledger(engine, lease_s=60, commitment={"pacs": False, "other": False}, now=clock)
    job = deliver(ledger, tmp_path, "2.25.1")
    clock.pass_seconds(3)
    for number, destination in enumerate(("pacs", "other")):
        assert "committed" not in events(ledger, job)
        uid = f"2.25.9{number}"
        ledger.open_transaction(destination, transaction_uid=uid, answer_within_s=1)
        report = CommitmentReport(transaction_uid=uid, committed=frozenset({"2.25.1"}))
        ledger.record_report(report)
        ledger.record_report(report)  # twice is once
    assert events(ledger, job).count("committed") == 1
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_an_unknown_transaction_changes_nothing(ledger: Ledger, tmp_path: Path) -> None:
    job = deliver(ledger, tmp_path, *UIDS)
    assert not ledger.record_report(
        CommitmentReport(transaction_uid="2.25.666", committed=frozenset(UIDS))
    )
    assert states(ledger, job) == dict.fromkeys(UIDS, "accepted")


def test_objects_outside_the_transaction_are_not_committed(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    first = deliver(ledger, tmp_path, "2.25.1", rule="one")
    uid = ask(ledger, clock)
    second = deliver(ledger, tmp_path, "2.25.2", rule="two")
    ledger.record_report(CommitmentReport(transaction_uid=uid, committed=frozenset(UIDS)))
    assert states(ledger, first) == {"2.25.1": "committed"}
    assert states(ledger, second) == {"2.25.2": "accepted"}


def test_a_lost_object_is_sent_again_and_the_job_says_so(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, *UIDS)
    uid = ask(ledger, clock)
    ledger.record_report(
        CommitmentReport(
            transaction_uid=uid,
            committed=frozenset({"2.25.1"}),
            failed={"2.25.2": NO_SUCH_OBJECT_INSTANCE},
        )
    )
    assert ledger.get(job.job_id).state is JobState.SENDING
    clock.pass_seconds(6)
    assert accept_all(ledger) == ["2.25.2"]
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    ledger.record_report(
        CommitmentReport(transaction_uid=uid, failed={"2.25.2": NO_SUCH_OBJECT_INSTANCE})
    )  # about the first sending: not heard
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    ledger.record_report(
        CommitmentReport(
            transaction_uid=ask(ledger, clock, "2.25.98"), committed=frozenset({"2.25.2"})
        )
    )
    assert states(ledger, job) == dict.fromkeys(UIDS, "committed")
    assert events(ledger, job).count("lost") == 1


def lose(ledger: Ledger, clock: StoppedClock, number: int) -> None:
    uid = ask(ledger, clock, f"2.25.50{number}")
    ledger.record_report(
        CommitmentReport(transaction_uid=uid, failed={"2.25.1": NO_SUCH_OBJECT_INSTANCE})
    )


def test_a_peer_that_always_loses_ends_as_a_dead_letter_that_retry_sends_again(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    for number in range(2):
        lose(ledger, clock, number)
        clock.pass_seconds(60)
        assert accept_all(ledger) == ["2.25.1"]
    lose(ledger, clock, 2)
    failed = ledger.get(job.job_id)
    assert failed.state is JobState.FAILED
    assert "accepted and lost 3 times" in failed.error
    assert "0x0112" in failed.error
    assert ledger.retry(job.job_id).state is JobState.SENDING
    assert accept_all(ledger) == ["2.25.1"]
    lose(ledger, clock, 3)
    assert ledger.get(job.job_id).state is JobState.SENDING, "the count begins anew"


def test_a_lost_object_whose_file_is_gone_fails_at_once(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    (tmp_path / "2.25.1.dcm").unlink()
    lose(ledger, clock, 0)
    assert ledger.get(job.job_id).state is JobState.FAILED
    assert "file is gone" in ledger.get(job.job_id).error


def test_a_peer_that_could_not_tell_is_asked_again_then_looked_at(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    first = ask(ledger, clock, "2.25.91")
    ledger.record_report(
        CommitmentReport(transaction_uid=first, failed={"2.25.1": PROCESSING_FAILURE})
    )
    clock.pass_seconds(10)
    second = ask(ledger, clock, "2.25.92")
    ledger.transaction_failed(second, error="0x0110")
    (overdue,) = ledger.claim_overdue("pacs")
    assert overdue.sop_instance_uid == "2.25.1"
    assert ledger.claim_overdue("pacs") == [], "claimed for the time of a lease"
    ledger.delivery_found(overdue.delivery_id, detail="seen by C-FIND")
    assert states(ledger, job) == {"2.25.1": "found"}
    # the answer comes after all
    ledger.record_report(CommitmentReport(transaction_uid=first, committed=frozenset({"2.25.1"})))
    assert states(ledger, job) == {"2.25.1": "committed"}


def test_no_answer_in_time_and_not_there_is_lost(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    ask(ledger, clock)
    clock.pass_seconds(HOUR_S - 1)
    assert ledger.claim_overdue("pacs") == []
    clock.pass_seconds(2)
    assert ledger.destinations_to_prove() == ["pacs"]
    (overdue,) = ledger.claim_overdue("pacs")
    ledger.look_again(overdue.delivery_id, detail="no connection")
    assert ledger.claim_overdue("pacs") == []
    clock.pass_seconds(60)
    (overdue,) = ledger.claim_overdue("pacs")
    ledger.delivery_missing(overdue.delivery_id, detail="C-FIND does not show it")
    assert ledger.get(job.job_id).state is JobState.SENDING
    assert states(ledger, job) == {"2.25.1": "pending"}


@pytest.mark.parametrize(
    ("required", "state", "delivery"),
    [(False, JobState.DELIVERED, "accepted"), (True, JobState.FAILED, "failed")],
)
def test_what_cannot_be_proven_fails_only_where_proof_is_required(
    *,
    engine: Engine,
    clock: StoppedClock,
    tmp_path: Path,
    required: bool,
    state: JobState,
    delivery: str,
) -> None:
    ledger = open_ledger(engine, clock, required=required)
    job = deliver(ledger, tmp_path, "2.25.1")
    ledger.transaction_unsupported(ask(ledger, clock), error="no Storage Commitment")
    overdue = ledger.claim_overdue("pacs")
    assert len(overdue) == required
    for each in overdue:
        ledger.delivery_unproven(each.delivery_id, detail="no query either")
    assert ledger.get(job.job_id).state is state
    assert states(ledger, job) == {"2.25.1": delivery}
    assert ledger.destinations_to_prove() == []


def test_a_loss_that_is_told_at_night_counts_though_nobody_waited_any_more(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    uid = ask(ledger, clock)
    clock.pass_seconds(HOUR_S + 1)
    (overdue,) = ledger.claim_overdue("pacs")
    ledger.delivery_unproven(overdue.delivery_id, detail="the query does not tell")
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    night = CommitmentReport(transaction_uid=uid, failed={"2.25.1": NO_SUCH_OBJECT_INSTANCE})
    ledger.record_report(night)
    assert ledger.get(job.job_id).state is JobState.SENDING
    clock.pass_seconds(60)
    assert accept_all(ledger) == ["2.25.1"]
    ledger.record_report(night)  # heard again, it says nothing of the new sending
    assert ledger.get(job.job_id).state is JobState.DELIVERED


@pytest.mark.parametrize(
    ("reason", "state"),
    [(CLASS_INSTANCE_CONFLICT, JobState.FAILED), (SOP_CLASS_NOT_SUPPORTED, JobState.DELIVERED)],
)
def test_reasons_that_sending_again_does_not_mend(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path, reason: int, state: JobState
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    ledger.record_report(
        CommitmentReport(transaction_uid=ask(ledger, clock), failed={"2.25.1": reason})
    )
    assert ledger.get(job.job_id).state is state
    (proof,) = [each for each in ledger.deliveries(job.job_id) if each.destination == "pacs"]
    assert proof.commitment is CommitmentState.CLOSED
    assert f"0x{reason:04X}" in proof.commitment_detail


def test_a_loss_after_a_cancel_waits_for_the_next_job(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, "2.25.1")
    lose(ledger, clock, 0)
    ledger.cancel(job.job_id)
    (delivery,) = [each for each in ledger.deliveries(job.job_id) if each.destination == "pacs"]
    assert delivery.state is DeliveryState.PENDING
    assert ledger.due_destinations() == []
    again = deliver(ledger, tmp_path, "2.25.1", rule="two")
    clock.pass_seconds(60)
    accept_all(ledger)
    assert ledger.get(again.job_id).state is JobState.DELIVERED


def test_jobs_that_await_proof_are_not_purged_and_forget_removes_all(
    ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job = deliver(ledger, tmp_path, *UIDS)
    uid = ask(ledger, clock)
    clock.pass_seconds(HOUR_S / 2)
    assert ledger.finished_before(clock()) == []
    ledger.record_report(CommitmentReport(transaction_uid=uid, committed=frozenset(UIDS)))
    clock.pass_seconds(1)
    assert [each.job_id for each in ledger.finished_before(clock())] == [job.job_id]
    ledger.forget(job.job_id)
    assert not ledger.record_report(
        CommitmentReport(transaction_uid=uid, committed=frozenset(UIDS))
    )
