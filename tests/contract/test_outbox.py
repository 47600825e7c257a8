"""Deliveries over both databases."""

from pathlib import Path

import pytest
from sqlalchemy import Engine
from stopped_clock import StoppedClock

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_store import send_objects
from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import Delivery, DeliveryState, Job
from node.jobs.ledger import Ledger
from node.jobs.state import IllegalTransition, JobState

SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.34"


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def ledger(engine: Engine, clock: StoppedClock) -> Ledger:
    return Ledger(engine, lease_s=60, delivery_maximum_attempts=3, delivery_backoff_s=5, now=clock)


def send_job(
    ledger: Ledger,
    *uids: str,
    destinations: tuple[str, ...] = ("pacs",),
    rule: str = "r",
    folder: Path = Path("results"),
) -> Job:
    """Bring a job as far as SENDING (or DELIVERED when nothing is open)."""
    job = ledger.add_job(
        study_instance_uid="1.2",
        series_instance_uids=["1.2.1"],
        bundle="brain",
        rule=rule,
        destinations=destinations,
        calling_ae_title="MODALITY",
        content_digest="d",
    )
    ledger.claim(f"worker-{rule}")
    return finish(ledger, job, *uids, folder=folder)


def finish(ledger: Ledger, job: Job, *uids: str, folder: Path = Path("results")) -> Job:
    evidence = [
        Evidence(
            kind=EvidenceKind.SR,
            path=folder / f"{uid}.dcm",
            sop_class_uid=SR_STORAGE,
            sop_instance_uid=uid,
        )
        for uid in uids
    ]
    evidence.append(Evidence(kind=EvidenceKind.OVERLAY, path=folder / "overlay.png"))
    owner = ledger.get(job.job_id).lease_owner
    return ledger.finish(job.job_id, owner, evidence=evidence, result={})


def destinations_of(deliveries: list[Delivery]) -> list[str]:
    return [delivery.destination for delivery in deliveries]


def test_every_dicom_object_goes_to_every_destination(ledger: Ledger) -> None:
    job = send_job(ledger, "2.25.1", "2.25.2", destinations=("b", "a", "a"))
    assert job.state is JobState.SENDING
    assert ledger.due_destinations() == ["a", "b"]
    claimed = ledger.claim_deliveries("d")
    assert destinations_of(claimed) == ["a", "a", "b", "b"]
    assert {delivery.sop_instance_uid for delivery in claimed} == {"2.25.1", "2.25.2"}
    assert all(delivery.attempts == 1 for delivery in claimed)
    assert ledger.claim_deliveries("e") == []
    for delivery in claimed:
        assert ledger.get(job.job_id).state is JobState.SENDING
        ledger.delivery_done(delivery.delivery_id, "d")
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_one_destination_can_be_claimed_alone(ledger: Ledger) -> None:
    send_job(ledger, "2.25.1", "2.25.2", destinations=("a", "b"))
    assert destinations_of(ledger.claim_deliveries("d", destination="b", limit=1)) == ["b"]
    assert ledger.due_destinations() == ["a", "b"]


def test_nothing_to_send_is_delivered_at_once(ledger: Ledger) -> None:
    assert send_job(ledger).state is JobState.DELIVERED


def test_an_accepted_object_is_never_sent_again(ledger: Ledger) -> None:
    first = send_job(ledger, "2.25.1", rule="one")
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_done(delivery.delivery_id, "d")
    second = send_job(ledger, "2.25.1", rule="two")
    assert ledger.get(first.job_id).state is JobState.DELIVERED
    assert second.state is JobState.DELIVERED
    assert ledger.claim_deliveries("d") == []
    third = send_job(ledger, "2.25.1", "2.25.2", rule="three")
    assert third.state is JobState.SENDING
    assert [item.sop_instance_uid for item in ledger.claim_deliveries("d")] == ["2.25.2"]


def test_two_jobs_wait_for_one_delivery(ledger: Ledger) -> None:
    jobs = [send_job(ledger, "2.25.1", rule=rule) for rule in ("one", "two")]
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_done(delivery.delivery_id, "d")
    assert [ledger.get(job.job_id).state for job in jobs] == [JobState.DELIVERED] * 2


def test_refused_sendings_back_off_and_are_given_up(ledger: Ledger, clock: StoppedClock) -> None:
    job = send_job(ledger, "2.25.1")
    for wait_s in (5, 10):
        (delivery,) = ledger.claim_deliveries("d")
        ledger.delivery_failed(delivery.delivery_id, "d", error="0xA700", retry=True)
        assert ledger.due_destinations() == []
        clock.pass_seconds(wait_s)
        assert ledger.due_destinations() == ["pacs"]
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_failed(delivery.delivery_id, "d", error="0xA700", retry=True)
    failed = ledger.get(job.job_id)
    assert (failed.state, failed.error) == (JobState.FAILED, "pacs: 0xA700")


def test_one_dead_destination_does_not_stop_the_other(ledger: Ledger) -> None:
    job = send_job(ledger, "2.25.1", destinations=("alive", "dead"))
    alive, dead = ledger.claim_deliveries("d")
    ledger.delivery_failed(dead.delivery_id, "d", error="0x0122", retry=False)
    assert ledger.get(job.job_id).state is JobState.SENDING
    ledger.delivery_done(alive.delivery_id, "d")
    assert ledger.get(job.job_id).state is JobState.FAILED
    states = {item.destination: item.state for item in ledger.deliveries(job.job_id)}
    assert states == {"alive": DeliveryState.ACCEPTED, "dead": DeliveryState.FAILED}


def test_leases_of_deliveries_lapse_and_can_be_renewed(ledger: Ledger, clock: StoppedClock) -> None:
    send_job(ledger, "2.25.1")
    (delivery,) = ledger.claim_deliveries("d1")
    clock.pass_seconds(59)
    assert ledger.renew_deliveries("d1", [delivery.delivery_id]) == 1
    clock.pass_seconds(59)
    assert ledger.claim_deliveries("d2") == []
    clock.pass_seconds(2)
    assert len(ledger.claim_deliveries("d2")) == 1
    assert ledger.renew_deliveries("d1", [delivery.delivery_id]) == 0
    ledger.delivery_failed(delivery.delivery_id, "d1", error="late", retry=False)
    assert ledger.deliveries(delivery.job_id)[0].state is DeliveryState.PENDING
    ledger.delivery_done(delivery.delivery_id, "d1")  # it was accepted, whoever says so
    assert ledger.get(delivery.job_id).state is JobState.DELIVERED


def test_deliveries_of_a_dead_owner_are_released_at_once(ledger: Ledger) -> None:
    send_job(ledger, "2.25.1")
    ledger.claim_deliveries("gone")
    assert ledger.release_deliveries("other") == 0
    assert ledger.release_deliveries("gone") == 1
    assert len(ledger.claim_deliveries("d")) == 1


def test_what_ends_its_sender_each_time_is_given_up_and_lets_others_pass(
    ledger: Ledger, clock: StoppedClock
) -> None:
    job = send_job(ledger, "2.25.1")
    waits_s = []
    for _ in range(3):
        while not ledger.claim_deliveries("gone"):
            clock.pass_seconds(1)
            waits_s.append(1)
        ledger.release_deliveries("gone")  # the sender died, and its successor cleans up
    assert sum(waits_s) >= 10  # the first time at once, then with a back-off
    clock.pass_seconds(60)
    assert ledger.claim_deliveries("d") == []
    assert ledger.settle_sending() == 1
    failed = ledger.get(job.job_id)
    assert failed.state is JobState.FAILED
    assert "the last one never ended" in failed.error


def test_an_error_of_any_text_can_be_kept(ledger: Ledger) -> None:
    job = send_job(ledger, "2.25.1")
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_failed(delivery.delivery_id, "d", error="a\x00b\ud800c", retry=False)
    assert ledger.get(job.job_id).error == "pacs: ab?c"


def test_a_cancelled_job_sends_nothing_more(ledger: Ledger) -> None:
    job = send_job(ledger, "2.25.1")
    ledger.cancel(job.job_id)
    assert ledger.due_destinations() == []
    assert ledger.claim_deliveries("d") == []


def give_up(ledger: Ledger, job: Job) -> None:
    for delivery in ledger.claim_deliveries("d"):
        ledger.delivery_failed(delivery.delivery_id, "d", error="0xC000", retry=False)
    assert ledger.get(job.job_id).state is JobState.FAILED


def test_retry_sends_again_what_was_given_up(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "2.25.1.dcm").touch()
    job = send_job(ledger, "2.25.1", folder=tmp_path)
    give_up(ledger, job)
    assert ledger.retry(job.job_id).state is JobState.SENDING
    assert [item.attempts for item in ledger.claim_deliveries("d")] == [1]


def test_what_was_delivered_is_sent_again_when_a_person_asks(
    ledger: Ledger, tmp_path: Path
) -> None:
    (tmp_path / "2.25.1.dcm").touch()
    job = send_job(ledger, "2.25.1", folder=tmp_path)
    other = send_job(ledger, "2.25.1", folder=tmp_path, rule="other")
    with pytest.raises(IllegalTransition):
        ledger.send_again(job.job_id)
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_done(delivery.delivery_id, "d")
    assert ledger.send_again(job.job_id).state is JobState.SENDING
    assert ledger.get(other.job_id).state is JobState.SENDING  # it waits for the same object
    (again,) = ledger.claim_deliveries("d")
    assert (again.delivery_id, again.attempts) == (delivery.delivery_id, 1)
    ledger.delivery_done(again.delivery_id, "d")
    assert ledger.get(job.job_id).state is ledger.get(other.job_id).state is JobState.DELIVERED
    (tmp_path / "2.25.1.dcm").unlink()
    with pytest.raises(FileNotFoundError):
        ledger.send_again(job.job_id)
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_nothing_to_send_again(ledger: Ledger) -> None:
    job = send_job(ledger)
    assert job.state is JobState.DELIVERED
    with pytest.raises(IllegalTransition):
        ledger.send_again(job.job_id)


def test_retry_works_again_when_the_files_are_gone(ledger: Ledger, tmp_path: Path) -> None:
    job = send_job(ledger, "2.25.1", folder=tmp_path)
    give_up(ledger, job)
    assert ledger.retry(job.job_id).state is JobState.QUEUED
    ledger.claim("w2")
    assert finish(ledger, job, "2.25.1", folder=tmp_path / "new").state is JobState.SENDING
    (delivery,) = ledger.claim_deliveries("d")
    assert delivery.path == tmp_path / "new" / "2.25.1.dcm"


def test_retry_works_again_when_a_file_is_damaged(ledger: Ledger, tmp_path: Path) -> None:
    """To send it again could only fail again."""
    damaged = tmp_path / "2.25.1.dcm"
    damaged.write_bytes(b"")
    job = send_job(ledger, "2.25.1", folder=tmp_path)
    (delivery,) = ledger.claim_deliveries("d")
    away = Peer(name="pacs", ae_title="PACS", port=1)
    (outcome,) = send_objects(
        [delivery.path], peer=away, calling_ae_title="ONCONODE", settings=DeliverSettings()
    )
    assert not outcome.retry
    ledger.delivery_failed(delivery.delivery_id, "d", error=outcome.detail, retry=False)
    assert ledger.get(job.job_id).state is JobState.FAILED
    assert ledger.retry(job.job_id).state is JobState.QUEUED


def test_other_results_after_a_retry_replace_the_old_ones(ledger: Ledger, tmp_path: Path) -> None:
    job = send_job(ledger, "2.25.1", folder=tmp_path)
    give_up(ledger, job)
    ledger.retry(job.job_id)
    ledger.claim("w2")
    finish(ledger, job, "2.25.2")  # settings changed, so did the UIDs
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_done(delivery.delivery_id, "d")
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_a_job_that_missed_its_last_answer_is_settled(ledger: Ledger, engine: Engine) -> None:
    job = send_job(ledger, "2.25.1")
    assert ledger.settle_sending() == 0
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE deliveries SET state = 'accepted'")
    assert ledger.settle_sending() == 1
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_a_shared_delivery_outlives_the_job_that_asked_first(
    ledger: Ledger, clock: StoppedClock
) -> None:
    first, second = (send_job(ledger, "2.25.1", rule=rule) for rule in ("one", "two"))
    ledger.cancel(first.job_id)
    ledger.forget(first.job_id)
    (delivery,) = ledger.deliveries(second.job_id)
    assert delivery.job_id == second.job_id
    ledger.cancel(second.job_id)
    ledger.forget(second.job_id)
    with pytest.raises(KeyError):
        ledger.delivery_done(delivery.delivery_id, "d")


def stand_in(uid: str, kind: EvidenceKind = EvidenceKind.RTSTRUCT) -> Evidence:
    path = Path("results") / f"{uid}.dcm"
    return Evidence(kind=kind, path=path, sop_class_uid="1.2", sop_instance_uid=uid)


def test_replaced_object_is_not_sent_and_its_stand_in_is(ledger: Ledger) -> None:
    job = send_job(ledger, "2.25.1")
    (first,) = ledger.claim_deliveries("d")
    assert ledger.delivery_replaced(
        first.delivery_id, "d", error="refused", evidence=[stand_in("2.25.2")]
    )
    (second,) = ledger.claim_deliveries("d")
    assert (second.sop_instance_uid, second.stands_for) == ("2.25.2", "2.25.1")
    ledger.delivery_done(second.delivery_id, "d")
    assert ledger.get(job.job_id).state is JobState.DELIVERED
    states = {item.sop_instance_uid: item.state for item in ledger.deliveries(job.job_id)}
    assert states == {"2.25.1": DeliveryState.REPLACED, "2.25.2": DeliveryState.ACCEPTED}


def test_an_object_that_falls_while_its_job_is_cancelled_is_not_lost_to_the_next_try(
    ledger: Ledger,
) -> None:
    """Results have their UIDs from their content: tried again they are the same objects."""
    job = send_job(ledger, "2.25.1")
    (first,) = ledger.claim_deliveries("d")
    ledger.cancel(job.job_id)
    ledger.delivery_replaced(first.delivery_id, "d", error="refused", evidence=[stand_in("2.25.2")])
    assert ledger.claim_deliveries("d") == []
    ledger.retry(job.job_id)
    ledger.claim("again")
    assert finish(ledger, job, "2.25.1").state is JobState.SENDING
    (second,) = ledger.claim_deliveries("d")
    assert second.sop_instance_uid == "2.25.2"


def test_object_replaced_by_nothing_ends_its_job(ledger: Ledger) -> None:
    job = send_job(ledger, "2.25.1")
    (first,) = ledger.claim_deliveries("d")
    ledger.delivery_replaced(first.delivery_id, "d", error="not wanted", evidence=[])
    assert ledger.get(job.job_id).state is JobState.DELIVERED


def test_only_the_holder_replaces(ledger: Ledger) -> None:
    send_job(ledger, "2.25.1")
    (first,) = ledger.claim_deliveries("d")
    assert not ledger.delivery_replaced(first.delivery_id, "e", error="x", evidence=[])


def test_another_job_waits_for_the_stand_in(ledger: Ledger) -> None:
    send_job(ledger, "2.25.1", rule="one")
    (first,) = ledger.claim_deliveries("d")
    ledger.delivery_replaced(first.delivery_id, "d", error="x", evidence=[stand_in("2.25.2")])
    other = send_job(ledger, "2.25.1", rule="two")
    assert other.state is JobState.SENDING
    (second,) = ledger.claim_deliveries("d")
    ledger.delivery_failed(second.delivery_id, "d", error="refused", retry=False)
    assert ledger.get(other.job_id).state is JobState.FAILED
    folder = Path("results")
    assert second.path == folder / "2.25.2.dcm"


def test_report_waits_while_its_segmentation_is_to_be_sent(
    ledger: Ledger, clock: StoppedClock
) -> None:
    job = send_job(ledger, "2.25.1")  # a report
    (report,) = ledger.claim_deliveries("d")
    seg = stand_in("2.25.2", EvidenceKind.SEG)
    ledger.delivery_accompanied(report.delivery_id, evidence=[seg])
    ledger.delivery_postponed(report.delivery_id, "d", error="waits")
    clock.pass_seconds(10)
    claimed = ledger.claim_deliveries("d", limit=10)
    assert sorted(item.kind for item in claimed) == ["seg", "sr"]
    assert {item.attempts for item in claimed} == {1}  # being put off is no attempt
    later = next(item for item in claimed if item.kind == "seg")
    ledger.delivery_failed(later.delivery_id, "d", error="busy", retry=True)
    ledger.release_deliveries("d")
    assert ledger.claim_deliveries("d") == []
    clock.pass_seconds(10)
    claimed = ledger.claim_deliveries("d")
    assert len(claimed) == 2
    ledger.delivery_done(later.delivery_id, "d")
    ledger.delivery_done(report.delivery_id, "d")
    assert ledger.get(job.job_id).state is JobState.DELIVERED
