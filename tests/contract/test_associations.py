"""The latest associations, and what peers accepted, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from node.storage.associations import (
    AssociationRecord,
    AssociationResult,
    AssociationStore,
    RefusedContext,
)
from node.storage.negotiations import NegotiationStore, PeerSyntax

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def make_record(token: str = "a", **values) -> AssociationRecord:
    return AssociationRecord(
        **{
            "token": token,
            "listener": "host/NODE",
            "started_at": NOON,
            "address": "10.0.0.1",
            "port": 11112,
            "result": AssociationResult.RELEASED,
            "accepted": {EXPLICIT: (CT,)},
            **values,
        }
    )


def test_a_record_comes_back_as_it_was(engine: Engine) -> None:
    record = make_record(
        ended_at=NOON + timedelta(seconds=3),
        tls="TLSv1.3",
        certificate="O=Hospital, CN=ct",
        calling_ae_title="CT1",
        called_ae_title="ONCONODE",
        peer="ct",
        refused=(
            RefusedContext(
                sop_class_uid=MR, reason="no common syntax", transfer_syntax_uids=(IMPLICIT,)
            ),
        ),
        objects_stored=300,
        objects_refused=1,
        bytes_stored=5_000_000_000,
    )
    store = AssociationStore(engine)
    store.record_all([record])
    assert store.list() == (record,)


def test_a_later_record_of_a_token_takes_the_place_of_the_first(engine: Engine) -> None:
    store = AssociationStore(engine)
    store.record_all([make_record("a", result=AssociationResult.OPEN), make_record("b")])
    store.record_all([make_record("a", objects_stored=7), make_record("c")])
    assert [record.token for record in store.list()] == ["c", "b", "a"]
    assert store.list()[-1].objects_stored == 7
    store.record_all([])


def test_only_the_latest_are_kept(engine: Engine) -> None:
    store = AssociationStore(engine, keep=5)
    for begin in (0, 4, 8):
        store.record_all([make_record(str(number)) for number in range(begin, begin + 4)])
    assert [record.token for record in store.list()] == ["11", "10", "9", "8", "7"]


def test_filters(engine: Engine) -> None:
    store = AssociationStore(engine)
    store.record_all(
        [
            make_record("good", calling_ae_title="CT1"),
            make_record("rejected", calling_ae_title="MR1", result=AssociationResult.REJECTED),
            make_record("scan", result=AssociationResult.FAILED),
            make_record("object", calling_ae_title="CT1", peer="ct", objects_refused=1),
            make_record("lost", result=AssociationResult.ABORTED, reason="the connection was lost"),
        ]
    )
    assert [each.token for each in store.list(refused=True)] == [
        "lost",
        "object",
        "scan",
        "rejected",
    ]
    assert [each.token for each in store.list(ae_title="CT1")] == ["object", "good"]
    assert [each.token for each in store.list(ae_title="ct")] == ["object"]
    assert [each.token for each in store.list(ae_title="CT1", limit=1)] == ["object"]
    assert store.list(ae_title="CT", refused=True) == ()


def test_what_a_crash_left_open_is_closed_for_its_listener_only(engine: Engine) -> None:
    later = NOON + timedelta(hours=1)
    store = AssociationStore(engine, now=lambda: later)
    opened = AssociationResult.OPEN
    store.record_all(
        [
            make_record("mine", result=opened),
            make_record("other", result=opened, listener="elsewhere/NODE"),
            make_record("done"),
        ]
    )
    assert store.close_open("host/NODE") == 1
    found = {record.token: record for record in store.list()}
    assert found["mine"].result is AssociationResult.ABORTED
    assert found["mine"].ended_at == later
    assert "the node ended" in found["mine"].reason
    assert found["other"].result is AssociationResult.OPEN
    assert found["done"].result is AssociationResult.RELEASED


def answer(sop_class: str, syntax: str, *, accepted: bool) -> PeerSyntax:
    return PeerSyntax(sop_class_uid=sop_class, transfer_syntax_uid=syntax, accepted=accepted)


def test_the_last_answer_of_a_peer_counts(engine: Engine) -> None:
    store = NegotiationStore(engine, now=lambda: NOON)
    store.remember(
        "pacs",
        [
            answer(CT, EXPLICIT, accepted=True),
            answer(CT, IMPLICIT, accepted=True),
            answer(MR, EXPLICIT, accepted=True),
        ],
    )
    store.remember("pacs", [answer(MR, EXPLICIT, accepted=False)])
    store.remember("other", [answer(MR, EXPLICIT, accepted=True)])
    assert store.accepted("pacs") == {CT: (IMPLICIT, EXPLICIT), MR: ()}
    assert store.accepted("other") == {MR: (EXPLICIT,)}
    assert store.accepted("nobody") == {}


def test_what_is_known_already_is_not_written_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = NegotiationStore(engine)
    same = [answer(CT, EXPLICIT, accepted=True)]
    store.remember("pacs", same)
    monkeypatch.setattr("node.storage.negotiations.writing", lambda _: pytest.fail("written"))
    store.remember("pacs", same)
    store.remember("pacs", [])


def test_what_a_peer_said_before_is_kept_with_its_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.storage.negotiations.KEPT", 4)
    now = NOON
    store = NegotiationStore(engine, now=lambda: now)
    store.remember(
        "pacs", [answer(CT, EXPLICIT, accepted=True), answer(MR, EXPLICIT, accepted=True)]
    )
    for hour, accepted in enumerate((False, True, False), start=1):
        now = NOON + timedelta(hours=hour)
        store.remember("pacs", [answer(CT, EXPLICIT, accepted=True)])
        store.remember("pacs", [answer(MR, EXPLICIT, accepted=accepted)])
    told = [
        (each.answer.sop_class_uid, each.answer.accepted, each.since)
        for each in store.history("pacs")
    ]
    ct = (CT, True, NOON)  # also the oldest stays, if it is the last to its class
    mr = [
        (MR, each, NOON + timedelta(hours=at)) for at, each in enumerate((True, False, True, False))
    ]
    assert told == [ct, *mr]
    now = NOON + timedelta(hours=9)
    store.remember("pacs", [answer(MR, EXPLICIT, accepted=True)])
    assert len(store.history("pacs")) == 5
    assert store.accepted("pacs") == {CT: (EXPLICIT,), MR: (EXPLICIT,)}
    assert [each.since for each in store.latest("pacs")] == [NOON, now]
    assert store.history("nobody") == ()
