"""Records are written by somebody else, together, and survive a database that is away."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest

from node.domain.errors import TryLater
from node.receive import association_log
from node.receive.association_log import AssociationLog
from node.storage.associations import AssociationRecord, AssociationResult


def make_record(token: str, result: AssociationResult = AssociationResult.RELEASED):
    return AssociationRecord(
        token=token,
        listener="here",
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        address="10.0.0.1",
        port=104,
        result=result,
    )


class Store:
    """Keeps the batches; fails as often as told."""

    def __init__(self, *, failures: int = 0) -> None:
        self.batches: list[list[AssociationRecord]] = []
        self.closed: list[str] = []
        self.failures = failures
        self.written = threading.Event()

    def record_all(self, records: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise TryLater("away")
        self.batches.append(list(records))
        if records:
            self.written.set()

    def close_open(self, listener: str) -> int:
        self.closed.append(listener)
        return 0


def make_log(store: Store, *observers: Any) -> AssociationLog:
    return AssociationLog(store, listener="here", observers=observers)  # type: ignore[arg-type] # a stand-in


def test_of_an_association_only_the_latest_is_written_in_the_order_of_ends():
    store = Store()
    log = make_log(store)
    log.note(make_record("a", AssociationResult.OPEN))
    log.note(make_record("b"))
    log.note(make_record("a"))
    log.flush()
    assert store.batches == [[make_record("b"), make_record("a")]]


def test_the_thread_writes_and_a_stop_writes_the_rest(monkeypatch):
    monkeypatch.setattr(association_log, "GATHER_S", 0.01)
    store = Store()
    log = make_log(store)
    log.start()
    assert store.closed == ["here"]
    log.note(make_record("a"))
    assert store.written.wait(20)
    monkeypatch.setattr(association_log, "GATHER_S", 600)
    log.note(make_record("b"))
    log.stop()
    assert [record.token for batch in store.batches for record in batch] == ["a", "b"]


def test_a_database_that_is_away_loses_nothing_but_the_oldest(monkeypatch):
    monkeypatch.setattr(association_log, "MAXIMUM_WAITING", 3)
    store = Store(failures=1)
    log = make_log(store)
    log.note(make_record("a", AssociationResult.OPEN))
    log.note(make_record("b"))
    log.flush()
    assert store.batches == []
    for token in "cda":
        log.note(make_record(token))
    log.flush()
    assert [record.token for record in store.batches[0]] == ["c", "d", "a"]
    assert store.batches[0][-1].result is AssociationResult.RELEASED


def test_observers_see_every_record_and_may_fail():
    seen: list[AssociationRecord] = []

    def fails(_: AssociationRecord) -> None:
        raise ValueError

    store = Store()
    log = make_log(store, fails, seen.append)
    opened, ended = make_record("a", AssociationResult.OPEN), make_record("a")
    log.note(opened)
    log.note(ended)
    log.flush()
    assert seen == [opened, ended]
    assert store.batches == [[ended]]


@pytest.mark.parametrize("failures", [0, 1])
def test_a_start_does_not_depend_on_the_database(failures):
    class Away(Store):
        def close_open(self, listener: str) -> int:
            if self.failures:
                raise TryLater("away")
            return super().close_open(listener)

    log = make_log(Away(failures=failures))
    log.start()
    log.stop()
