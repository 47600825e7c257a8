"""The list of studies over both databases."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine
from stopped_clock import StoppedClock

from node.domain.study import InstanceRef
from node.jobs.ledger import Ledger
from node.storage.instances import InstanceStore, ReceivedInstance
from node.storage.study_list import list_studies


def receive(store: InstanceStore, study: str, number: int, *, modality: str = "MR") -> None:
    store.record(
        ReceivedInstance(
            instance=InstanceRef(
                sop_instance_uid=f"{study}.{modality == 'MR':d}.{number}",
                sop_class_uid="1.2",
                transfer_syntax_uid="1.2.840.10008.1.2",
                path=Path(f"{study}/{number}.dcm"),
                sha256="a",
            ),
            study_instance_uid=study,
            series_instance_uid=f"{study}.{modality}",
            modality=modality,
            calling_ae_title=f"{modality}1",
            size_bytes=1,
        )
    )


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def begin(engine: Engine, clock: StoppedClock) -> datetime:
    """Three studies, an hour apart; the first one has two series."""
    store = InstanceStore(engine, now=clock)
    begin = clock()
    for study in ("1.1", "1.2", "1.3"):
        receive(store, study, 1)
        receive(store, study, 2)
        clock.pass_seconds(3600)
    receive(store, "1.1", 1, modality="SR")
    return begin


def test_latest_first_with_counts(engine: Engine, begin: datetime) -> None:
    first, *others = list_studies(engine)
    assert (first.study_instance_uid, first.objects, first.series) == ("1.1", 3, 2)
    assert first.modalities == ("MR", "SR")
    assert first.calling_ae_title == "MR1"
    assert first.first_received_at == begin
    assert first.last_received_at == begin + timedelta(hours=3)
    assert first.sample == Path("1.1/1.dcm")
    assert first.waits
    assert [line.study_instance_uid for line in others] == ["1.3", "1.2"]


def test_bounds_and_pages(engine: Engine, begin: datetime) -> None:
    def found(**asked: object) -> list[str]:
        return [line.study_instance_uid for line in list_studies(engine, **asked)]  # type: ignore[arg-type]  # what each test asks

    hour = timedelta(hours=1)
    assert found(since=begin + 2 * hour) == ["1.1", "1.3"]
    assert found(before=begin + 2 * hour) == ["1.2"]
    assert found(uid=".2") == ["1.2"]
    assert found(uid="%") == []
    assert found(limit=1, offset=1) == ["1.3"]
    assert found(since=datetime(2100, 1, 1, tzinfo=UTC)) == []


def test_studies_by_the_state_of_their_jobs(engine: Engine, begin: datetime) -> None:
    ledger = Ledger(engine, lease_s=60)
    job = ledger.add_job(
        study_instance_uid="1.2",
        series_instance_uids=["1.2.MR"],
        bundle="b",
        rule="r",
        destinations=[],
        calling_ae_title="MR1",
        content_digest="d",
    )
    assert [line.study_instance_uid for line in list_studies(engine, job_state="queued")] == ["1.2"]
    ledger.cancel(job.job_id)
    assert list_studies(engine, job_state="queued") == []
