"""What peers accepted when the node called them, and when they changed their mind."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Select, delete, func, insert, select

from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import NegotiationRow

KEPT = 2_000
"""So many of the latest answers of a peer that were not those before; and its last ones."""


@dataclass(frozen=True, kw_only=True)
class PeerSyntax:
    """What a peer said to one SOP class in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str
    accepted: bool


@dataclass(frozen=True, kw_only=True)
class Negotiated:
    """An answer of a peer, and since when it gives it.

    Parameters
    ----------
    answer : PeerSyntax
    since : datetime
        Aware UTC.
    """

    answer: PeerSyntax
    since: datetime


class NegotiationStore:
    """Answers of peers to what was proposed to them.

    Parameters
    ----------
    engine : Engine
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def remember(self, peer: str, answers: Iterable[PeerSyntax]) -> None:
        """Keep the answers of a peer of ``peers.yaml``; what is known already writes nothing.

        Parameters
        ----------
        peer : str
            Its name.
        answers : iterable of PeerSyntax
        """
        latest = {(each.sop_class_uid, each.transfer_syntax_uid): each for each in answers}
        changed = set(latest.values()).difference(self.answers(peer))
        if not changed:
            return
        now = self._now()
        with writing(self._engine) as session:
            session.execute(
                insert(NegotiationRow),
                [
                    {
                        "peer": peer,
                        "sop_class_uid": each.sop_class_uid,
                        "transfer_syntax_uid": each.transfer_syntax_uid,
                        "accepted": each.accepted,
                        "negotiated_at": now,
                    }
                    for each in sorted(changed, key=_place)
                ],
            )
            numbers = select(NegotiationRow.negotiation_id).where(NegotiationRow.peer == peer)
            latest_numbers = numbers.order_by(NegotiationRow.negotiation_id.desc()).limit(KEPT)
            session.execute(
                delete(NegotiationRow).where(
                    NegotiationRow.peer == peer,
                    NegotiationRow.negotiation_id.not_in(latest_numbers),
                    NegotiationRow.negotiation_id.not_in(_last_of_each(peer)),
                )
            )

    def history(self, peer: str) -> tuple[Negotiated, ...]:
        """Return every answer that was not the one before, the oldest first."""
        return self._read(NegotiationRow.peer == peer)

    def latest(self, peer: str) -> tuple[Negotiated, ...]:
        """Return the last answer to each SOP class and transfer syntax, sorted by these."""
        found = self._read(NegotiationRow.negotiation_id.in_(_last_of_each(peer)))
        return tuple(sorted(found, key=lambda each: _place(each.answer)))

    def answers(self, peer: str) -> tuple[PeerSyntax, ...]:
        """Return ``latest`` without its times."""
        return tuple(each.answer for each in self.latest(peer))

    def _read(self, which: ColumnElement[bool]) -> tuple[Negotiated, ...]:
        query = select(NegotiationRow).where(which).order_by(NegotiationRow.negotiation_id)
        with reading(self._engine) as session:
            return tuple(
                Negotiated(
                    answer=PeerSyntax(
                        sop_class_uid=row.sop_class_uid,
                        transfer_syntax_uid=row.transfer_syntax_uid,
                        accepted=row.accepted,
                    ),
                    since=row.negotiated_at,
                )
                for row in session.scalars(query)
            )

    def accepted(self, peer: str) -> dict[str, tuple[str, ...]]:
        """Return SOP Class UID -> Transfer Syntax UIDs that a peer took the last time.

        A class that it refused in every syntax has an empty tuple; one that was never proposed
        is not there.
        """
        found: dict[str, tuple[str, ...]] = {}
        for answer in self.answers(peer):
            taken = (answer.transfer_syntax_uid,) if answer.accepted else ()
            found[answer.sop_class_uid] = found.get(answer.sop_class_uid, ()) + taken
        return found


def _place(answer: PeerSyntax) -> tuple[str, str]:
    return answer.sop_class_uid, answer.transfer_syntax_uid


def _last_of_each(peer: str) -> Select[int]:
    return (
        select(func.max(NegotiationRow.negotiation_id))
        .where(NegotiationRow.peer == peer)
        .group_by(NegotiationRow.sop_class_uid, NegotiationRow.transfer_syntax_uid)
    )
