"""The instance store over both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from node.domain.errors import Problem
from node.domain.study import InstanceRef
from node.storage.instances import InstanceStore, ReceivedInstance, Recorded

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def make_received(number: int = 1, *, study: str = "1.2.3", sha256: str = "") -> ReceivedInstance:
    return ReceivedInstance(
        instance=InstanceRef(
            sop_instance_uid=f"{study}.1.{number}",
            sop_class_uid=CT_IMAGE,
            transfer_syntax_uid=EXPLICIT_LITTLE_ENDIAN,
            path=Path(f"objects/{study}/{number}.dcm"),
            sha256=sha256 or f"{number:064x}",
        ),
        study_instance_uid=study,
        series_instance_uid=f"{study}.1",
        modality="CT",
        calling_ae_title="MODALITY",
        size_bytes=525_000,
    )


@pytest.fixture
def store(engine: Engine) -> InstanceStore:
    return InstanceStore(engine, now=lambda: NOON)


def test_what_is_recorded_is_found_again(store: InstanceStore) -> None:
    received = make_received()
    assert store.record(received) is Recorded.NEW
    assert store.find("1.2.3.1.1") == received
    assert store.find("1.2.3.1.2") is None


def test_same_bytes_are_a_duplicate_and_other_bytes_a_conflict(store: InstanceStore) -> None:
    first = make_received()
    store.record(first)
    seen = store.last_received("1.2.3")
    assert store.mark_assembled("1.2.3", seen_last_received_at=seen, digest="d")
    assert store.record(make_received()) is Recorded.DUPLICATE
    assert store.record(make_received(sha256="f" * 64)) is Recorded.CONFLICT
    assert store.find("1.2.3.1.1") == first
    assert store.quiet_studies(before=NOON + timedelta(days=1)) == []


def test_a_conflict_in_another_study_leaves_no_empty_study(store: InstanceStore) -> None:
    store.record(make_received())
    other = make_received(sha256="f" * 64)
    stray = ReceivedInstance(**{**vars(other), "study_instance_uid": "9.9"})
    assert store.record(stray) is Recorded.CONFLICT
    with pytest.raises(KeyError):
        store.last_received("9.9")


def test_a_study_is_quiet_only_strictly_after_its_last_object(store: InstanceStore) -> None:
    store.record(make_received())
    assert store.quiet_studies(before=NOON) == []
    assert store.quiet_studies(before=NOON + timedelta(microseconds=1)) == ["1.2.3"]


def test_an_arrival_in_the_same_microsecond_keeps_the_study_dirty(store: InstanceStore) -> None:
    store.record(make_received(1))
    seen = store.last_received("1.2.3")
    store.record(make_received(2))  # the clock stands still
    assert not store.mark_assembled("1.2.3", seen_last_received_at=seen, digest="d")
    assert store.quiet_studies(before=NOON + timedelta(seconds=1)) == ["1.2.3"]
    seen = store.last_received("1.2.3")
    assert store.mark_assembled("1.2.3", seen_last_received_at=seen, digest="d")
    assert store.quiet_studies(before=NOON + timedelta(seconds=1)) == []


def test_a_late_object_makes_an_assembled_study_dirty_again(store: InstanceStore) -> None:
    store.record(make_received(1))
    seen = store.last_received("1.2.3")
    store.mark_assembled("1.2.3", seen_last_received_at=seen, digest="d")
    store.record(make_received(2))
    assert store.quiet_studies(before=NOON + timedelta(seconds=1)) == ["1.2.3"]


def test_objects_come_back_in_the_order_of_receipt(store: InstanceStore) -> None:
    for number in (3, 1, 2):
        store.record(make_received(number))
    uids = [received.instance.sop_instance_uid for received in store.received_of("1.2.3")]
    assert uids == ["1.2.3.1.3", "1.2.3.1.1", "1.2.3.1.2"]


def test_racing_associations_record_each_object_once(store: InstanceStore) -> None:
    numbers = [number % 20 for number in range(80)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: store.record(make_received(number)), numbers))
    assert outcomes.count(Recorded.NEW) == 20
    assert outcomes.count(Recorded.DUPLICATE) == 60
    assert len(store.received_of("1.2.3")) == 20


def test_quarantine_keeps_every_problem(store: InstanceStore) -> None:
    problem = Problem(code="truncated", found="10 bytes", expected="20 bytes", remedy="send again")
    store.quarantine(
        path=Path("quarantine/1.bin"),
        calling_ae_title="MODALITY",
        status=0xC000,
        problems=[problem, problem],
        sop_instance_uid="../etc",
    )
    (kept,) = store.quarantined()
    assert kept.problems == (problem, problem)
    assert (kept.status, kept.path) == (0xC000, Path("quarantine/1.bin"))
    assert (kept.sop_instance_uid, kept.received_at) == ("../etc", NOON)


def test_a_forgotten_study_may_come_again(store: InstanceStore) -> None:
    store.record(make_received())
    store.forget_study("1.2.3")
    assert store.find("1.2.3.1.1") is None
    assert store.record(make_received()) is Recorded.NEW
