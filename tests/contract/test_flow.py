"""What the overview and the lists ask of the ledger, on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete
from stopped_clock import StoppedClock

from node.domain.errors import Problem
from node.domain.report import Evidence, EvidenceKind
from node.jobs.flow import measure_flow
from node.jobs.job import DeliveryState
from node.jobs.ledger import Ledger
from node.jobs.listing import JobSearch, search_deliveries, search_jobs
from node.jobs.state import JobState
from node.storage.associations import AssociationRecord, AssociationResult, AssociationStore
from node.storage.database import writing
from node.storage.instances import InstanceStore
from node.storage.tables import JobEventLine

DAY = timedelta(days=1)


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def ledger(engine: Engine, clock: StoppedClock) -> Ledger:
    return Ledger(engine, lease_s=60, now=clock)


def add(ledger: Ledger, study: str, *, sender: str = "CT1") -> str:
    return ledger.add_job(
        study_instance_uid=study,
        series_instance_uids=[f"{study}.1"],
        bundle="brain",
        rule="r",
        destinations=["pacs", "ris"],
        calling_ae_title=sender,
        content_digest="d",
    ).job_id


def finish(ledger: Ledger, job_id: str, folder: Path) -> None:
    path = folder / f"{job_id}.dcm"
    path.write_bytes(b"x")
    evidence = Evidence(
        kind=EvidenceKind.SEG,
        path=path,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=f"2.25.{int(job_id[:8], 16)}",
    )
    ledger.finish(job_id, "w/1", evidence=[evidence], result={})


def test_a_running_job_is_told_with_its_stage_and_since_when(
    engine: Engine, ledger: Ledger, clock: StoppedClock
) -> None:
    job_id = add(ledger, "1.2.1")
    assert measure_flow(engine, since=clock() - DAY).running == ()
    clock.pass_seconds(10)
    ledger.claim("w/1")
    (running,) = measure_flow(engine, since=clock() - DAY).running
    assert (running.job_id, running.stage, running.stage_began_at) == (job_id, "", clock())
    clock.pass_seconds(10)
    ledger.enter_stage(job_id, "w/1", "segment")
    (running,) = measure_flow(engine, since=clock() - DAY).running
    assert (running.stage, running.stage_began_at) == ("segment", clock())
    with writing(engine) as session:
        session.execute(delete(JobEventLine))
    (running,) = measure_flow(engine, since=clock() - DAY).running
    assert running.stage == "segment"  # also where its history is gone


def test_what_came_out_counts_for_a_day_and_errors_of_a_peer_show(
    engine: Engine, ledger: Ledger, clock: StoppedClock, tmp_path: Path
) -> None:
    job_id = add(ledger, "1.2.1")
    ledger.claim("w/1")
    finish(ledger, job_id, tmp_path)
    for delivery in ledger.claim_deliveries("d"):
        if delivery.destination == "pacs":
            ledger.delivery_done(delivery.delivery_id, "d")
        else:
            ledger.delivery_failed(delivery.delivery_id, "d", error="0xA700", retry=True)
    flow = measure_flow(engine, since=clock() - DAY)
    assert flow.delivered == 0
    assert flow.sending["pacs"].last_sent_at == clock()
    assert flow.sending["pacs"].error == ""
    assert flow.sending["ris"].last_sent_at is None
    assert flow.sending["ris"].error == "0xA700"
    clock.pass_seconds(3600)
    (delivery,) = ledger.claim_deliveries("d")
    ledger.delivery_done(delivery.delivery_id, "d")
    ledger.add_rejected(
        study_instance_uid="1.2.2",
        calling_ae_title="CT1",
        content_digest="d",
        problems=[Problem(code="x", found="x", expected="y", remedy="z")],
    )
    flow = measure_flow(engine, since=clock() - DAY)
    assert (flow.delivered, flow.committed, flow.rejected) == (1, 0, 1)
    assert flow.sending["ris"].error == ""
    clock.pass_seconds(86401)
    flow = measure_flow(engine, since=clock() - DAY)
    assert (flow.delivered, flow.rejected) == (0, 0)


def test_jobs_are_searched_page_by_page(
    engine: Engine, ledger: Ledger, clock: StoppedClock
) -> None:
    ids = []
    for number in range(5):
        clock.pass_seconds(1)
        ids.append(add(ledger, f"1.2.1{number}", sender=f"CT{number % 2}"))
    ledger.cancel(ids[0])
    pages = [search_jobs(engine, JobSearch(), limit=2, offset=at) for at in (0, 2, 4)]
    assert [job.job_id for page, _ in pages for job in page] == ids[::-1]
    assert {total for _, total in pages} == {5}
    for search, found in (
        (JobSearch(state=JobState.CANCELLED), {ids[0]}),
        (JobSearch(text="2.13"), {ids[3]}),
        (JobSearch(text=ids[2][:20]), {ids[2]}),
        (JobSearch(text="%"), set()),
        (JobSearch(text="_"), set()),
        (JobSearch(sender="CT1"), {ids[1], ids[3]}),
        (JobSearch(bundle="lung"), set()),
        (JobSearch(bundle="brain", sender="CT0", state=JobState.QUEUED), {ids[2], ids[4]}),
    ):
        jobs, total = search_jobs(engine, search)
        assert {job.job_id for job in jobs} == found, search
        assert total == len(found)


def test_deliveries_are_searched_by_state_and_peer(
    engine: Engine, ledger: Ledger, tmp_path: Path
) -> None:
    job_id = add(ledger, "1.2.1")
    ledger.claim("w/1")
    finish(ledger, job_id, tmp_path)
    (to_pacs,) = (d for d in ledger.claim_deliveries("d") if d.destination == "pacs")
    ledger.delivery_done(to_pacs.delivery_id, "d")
    found, total = search_deliveries(engine, state=DeliveryState.ACCEPTED)
    assert ([each.destination for each in found], total) == (["pacs"], 1)
    found, total = search_deliveries(engine, peer="ris")
    assert ([each.state for each in found], total) == ([DeliveryState.PENDING], 1)
    found, total = search_deliveries(engine, limit=1, offset=1)
    assert (len(found), total) == (1, 2)


def test_the_last_association_of_each_peer(engine: Engine, clock: StoppedClock) -> None:
    store = AssociationStore(engine)
    for token, peer in (("a", "ct"), ("b", "mr"), ("c", "ct"), ("d", "")):
        clock.pass_seconds(1)
        store.record_all(
            [
                AssociationRecord(
                    token=token,
                    listener="n",
                    started_at=clock(),
                    address="192.0.2.1",
                    port=104,
                    peer=peer,
                    result=AssociationResult.RELEASED,
                )
            ]
        )
    assert {peer: each.token for peer, each in store.latest_of_peers().items()} == {
        "ct": "c",
        "mr": "b",
    }


def test_refused_objects_of_late_are_counted(engine: Engine, clock: StoppedClock) -> None:
    store = InstanceStore(engine, now=clock)
    problem = Problem(code="x", found="x", expected="y", remedy="z")
    for _ in range(2):
        store.quarantine(path=Path("x"), calling_ae_title="CT", status=0xA900, problems=[problem])
        clock.pass_seconds(3600)
    assert store.count_quarantined(since=clock() - timedelta(minutes=90)) == 1
    assert store.count_quarantined(since=clock() - DAY) == 2
