"""Batches of deliveries in threads."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from node.domain.report import Evidence, EvidenceKind
from node.jobs.job import Delivery, DeliveryState
from node.jobs.ledger import Ledger
from node.jobs.sending import SendingBatches
from node.jobs.state import JobState
from node.storage.database import open_database, sqlite_url

WAIT_S = 10


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    engine = open_database(sqlite_url(tmp_path))
    yield Ledger(engine, lease_s=60)
    engine.dispose()


def send_job(ledger: Ledger, *destinations: str) -> str:
    job = ledger.add_job(
        study_instance_uid="1.2",
        series_instance_uids=["1.2.1"],
        bundle="brain",
        rule="r",
        destinations=destinations,
        calling_ae_title="MODALITY",
        content_digest="d",
    )
    ledger.claim("w")
    evidence = Evidence(
        kind=EvidenceKind.SR,
        path=Path("sr.dcm"),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        sop_instance_uid="2.25.1",
    )
    ledger.finish(job.job_id, "w", evidence=[evidence], result={})
    return job.job_id


def test_a_hanging_destination_does_not_hold_up_another(ledger: Ledger) -> None:
    job_id = send_job(ledger, "alive", "hangs")
    begun, release, done = threading.Event(), threading.Event(), threading.Event()
    batches: list[str] = []

    def deliver(deliveries: list[Delivery]) -> None:
        (delivery,) = deliveries
        batches.append(delivery.destination)
        if delivery.destination == "hangs":
            begun.set()
            assert release.wait(WAIT_S)
        ledger.delivery_done(delivery.delivery_id, "node")
        if delivery.destination == "alive":
            done.set()

    sending = SendingBatches(ledger, deliver, owner="node")
    sending.tick()
    assert done.wait(WAIT_S)
    assert begun.wait(WAIT_S)
    ledger.release_deliveries("node")  # even if the hanging one became due again
    sending.tick()
    assert sorted(batches) == ["alive", "hangs"]
    release.set()
    assert sending.close(timeout_s=WAIT_S)
    assert ledger.get(job_id).state is JobState.DELIVERED


def test_a_database_that_fails_between_two_destinations_costs_no_lease(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_job(ledger, "first", "second")
    begun, release = threading.Event(), threading.Event()

    def deliver(deliveries: list[Delivery]) -> None:
        begun.set()
        assert release.wait(WAIT_S)

    claim = ledger.claim_deliveries

    def locked(owner: str, *, limit: int, destination: str) -> list[Delivery]:
        if destination == "second":
            raise OperationalError("SELECT", {}, Exception("database is locked"))
        return claim(owner, limit=limit, destination=destination)

    sending = SendingBatches(ledger, deliver, owner="node")
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "claim_deliveries", locked)
        with pytest.raises(OperationalError):
            sending.tick()
    assert begun.wait(WAIT_S)
    renewed: list[int] = []
    monkeypatch.setattr(ledger, "renew_deliveries", lambda _, ids: renewed.extend(ids))
    sending.renew()
    assert len(renewed) == 1
    assert not sending.close(timeout_s=0)  # it is waited for
    release.set()


def test_a_sender_that_breaks_leaves_its_deliveries_to_the_lease(ledger: Ledger) -> None:
    job_id = send_job(ledger, "pacs")

    def deliver(_: list[Delivery]) -> None:
        raise ZeroDivisionError

    sending = SendingBatches(ledger, deliver, owner="node")
    sending.tick()
    assert sending.close(timeout_s=WAIT_S)
    assert ledger.deliveries(job_id)[0].state is DeliveryState.PENDING
    sending.renew()  # it is over: its lease is not prolonged
    assert sending.release() == 1
    assert ledger.due_destinations() == ["pacs"]


def test_closing_tells_when_a_sending_did_not_end(ledger: Ledger) -> None:
    send_job(ledger, "hangs")
    release = threading.Event()
    sending = SendingBatches(ledger, lambda _: release.wait(WAIT_S), owner="node")
    sending.tick()
    assert not sending.close(timeout_s=0.05)
    release.set()
