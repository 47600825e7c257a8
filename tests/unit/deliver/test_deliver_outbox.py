"""The outbox: every delivery gets its mark."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.config.settings import DeliverSettings, Peer
from node.deliver import outbox
from node.deliver.c_store import SendOutcome
from node.deliver.outbox import DeliveryCounts, deliver_batch
from node.domain.errors import TryLater
from node.jobs.job import Delivery, DeliveryState

PEERS = (Peer(name="pacs", ae_title="PACS"), Peer(name="archive", ae_title="ARCHIVE"))


class FakeLedger:
    """Remembers what it was told."""

    def __init__(self):
        self.done = []
        self.failed = {}

    def delivery_done(self, delivery_id, owner):
        assert owner == "me"
        self.done.append(delivery_id)

    def delivery_failed(self, delivery_id, owner, *, error, retry):
        assert owner == "me"
        self.failed[delivery_id] = (error, retry)


def _delivery(number, destination="pacs"):
    return Delivery(
        delivery_id=number,
        job_id="job",
        destination=destination,
        kind="seg",
        sop_class_uid="1.2",
        sop_instance_uid=f"1.2.{number}",
        path=Path(f"/spool/{number}.dcm"),
        state=DeliveryState.PENDING,
        attempts=1,
        not_before=datetime.now(UTC),
        error="",
    )


def _outcome(path, verdict):
    return SendOutcome(
        path=path,
        sop_instance_uid="1.2",
        status=0,
        accepted=verdict == "accepted",
        retry=verdict == "retry",
        detail=verdict,
    )


def _run(monkeypatch, deliveries, answers):
    """Deliver with a sender that gives the answers in order; a TryLater among them is raised."""
    associations = []

    def send(paths, *, peer, calling_ae_title, settings, on_outcome, **_):
        assert calling_ae_title == "ONCONODE"
        associations.append(peer.name)
        for path in paths:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            on_outcome(_outcome(path, answer))

    monkeypatch.setattr(outbox, "send_objects", send)
    ledger = FakeLedger()
    counts = deliver_batch(
        deliveries,
        ledger=ledger,
        peers=PEERS,
        calling_ae_title="ONCONODE",
        settings=DeliverSettings(),
        owner="me",
    )
    return ledger, counts, associations


def test_one_refused_object_fails_alone(monkeypatch):
    ledger, counts, associations = _run(
        monkeypatch, [_delivery(n) for n in (1, 2, 3)], ["accepted", "give up", "retry"]
    )
    assert ledger.done == [1]
    assert ledger.failed == {2: ("give up", False), 3: ("retry", True)}
    assert counts == DeliveryCounts(accepted=1, retried=1, given_up=1)
    assert associations == ["pacs"]


def test_one_association_for_each_destination(monkeypatch):
    deliveries = [_delivery(1), _delivery(2, "archive"), _delivery(3)]
    ledger, _, associations = _run(monkeypatch, deliveries, ["accepted"] * 3)
    assert associations == ["pacs", "archive"]
    assert ledger.done == [1, 3, 2]


def test_a_peer_that_is_down_delays_only_its_own(monkeypatch):
    deliveries = [_delivery(1), _delivery(2), _delivery(3, "archive")]
    ledger, counts, _ = _run(monkeypatch, deliveries, [TryLater("pacs: no connection"), "accepted"])
    assert ledger.done == [3]
    assert ledger.failed == dict.fromkeys((1, 2), ("pacs: no connection", True))
    assert counts == DeliveryCounts(accepted=1, retried=2)


def test_an_unknown_destination_is_given_up(monkeypatch):
    ledger, counts, associations = _run(monkeypatch, [_delivery(1, "gone")], [])
    assert ledger.failed == {1: ("no peer is called gone", False)}
    assert counts == DeliveryCounts(given_up=1)
    assert associations == []


def test_what_was_accepted_is_marked_before_a_crash(monkeypatch):
    ledger = FakeLedger()

    def send(paths, *, on_outcome, **_):
        on_outcome(_outcome(paths[0], "accepted"))
        raise MemoryError

    monkeypatch.setattr(outbox, "send_objects", send)
    with pytest.raises(MemoryError):
        deliver_batch(
            [_delivery(1), _delivery(2)],
            ledger=ledger,
            peers={peer.name: peer for peer in PEERS},
            calling_ae_title="ONCONODE",
            settings=DeliverSettings(),
            owner="me",
        )
    assert ledger.done == [1]
