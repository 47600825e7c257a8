"""What peers accepted when the node called them: SOP classes and transfer syntaxes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, delete, insert, select

from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import PeerSyntaxRow


@dataclass(frozen=True, kw_only=True)
class PeerSyntax:
    """The last answer of a peer to one SOP class in one transfer syntax."""

    sop_class_uid: str
    transfer_syntax_uid: str
    accepted: bool


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
        with writing(self._engine) as session:
            for each in changed:
                session.execute(
                    delete(PeerSyntaxRow).where(
                        PeerSyntaxRow.peer == peer,
                        PeerSyntaxRow.sop_class_uid == each.sop_class_uid,
                        PeerSyntaxRow.transfer_syntax_uid == each.transfer_syntax_uid,
                    )
                )
            session.execute(
                insert(PeerSyntaxRow),
                [
                    {
                        "peer": peer,
                        "sop_class_uid": each.sop_class_uid,
                        "transfer_syntax_uid": each.transfer_syntax_uid,
                        "accepted": each.accepted,
                        "negotiated_at": self._now(),
                    }
                    for each in changed
                ],
            )

    def answers(self, peer: str) -> tuple[PeerSyntax, ...]:
        """Return the last answer of a peer to each SOP class and transfer syntax."""
        query = (
            select(PeerSyntaxRow)
            .where(PeerSyntaxRow.peer == peer)
            .order_by(PeerSyntaxRow.sop_class_uid, PeerSyntaxRow.transfer_syntax_uid)
        )
        with reading(self._engine) as session:
            return tuple(
                PeerSyntax(
                    sop_class_uid=row.sop_class_uid,
                    transfer_syntax_uid=row.transfer_syntax_uid,
                    accepted=row.accepted,
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
