"""Seek proof that a destination holds what it accepted: commitment first, then a query."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

import structlog

from node.config.settings import DeliverSettings, Peer
from node.deliver.commitment import CommitmentUnsupported, request_commitment
from node.domain.commitment import CommitmentReport
from node.domain.errors import SetupFault, TryLater
from node.jobs.commitments import Transaction
from node.jobs.job import Delivery

log = structlog.get_logger()


class Presence(StrEnum):
    """What a query says of an object."""

    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"  # the destination does not answer such questions


LookFor = Callable[[Peer, Sequence[Delivery]], Mapping[int, Presence]]
"""Asks a destination for objects: delivery_id -> presence.

Raises TryLater when it cannot be asked now, SetupFault when it refuses to be asked.
"""


class ProofLedger(Protocol):
    """Where requests, answers and what queries showed are written down."""

    def destinations_to_prove(self) -> list[str]:
        """Return the destinations of which something is to be proven now."""

    def open_transaction(
        self, destination: str, *, transaction_uid: str, answer_within_s: float
    ) -> Transaction | None:
        """Write a request down before it leaves."""

    def transaction_failed(self, transaction_uid: str, *, error: str) -> None:
        """Record that it did not arrive."""

    def transaction_unsupported(self, transaction_uid: str, *, error: str) -> None:
        """Record that the destination does not offer the service."""

    def record_report(self, report: CommitmentReport) -> bool:
        """Record an answer."""

    def claim_overdue(self, destination: str) -> list[Delivery]:
        """Return what should have been proven by now."""

    def delivery_found(self, delivery_id: int, *, detail: str) -> None:
        """Record that the destination holds it."""

    def delivery_missing(self, delivery_id: int, *, detail: str) -> None:
        """Record that the destination does not hold it."""

    def delivery_unproven(self, delivery_id: int, *, detail: str) -> None:
        """Record that nothing can be learnt."""

    def look_again(self, delivery_id: int, *, detail: str) -> None:
        """Record that the destination could not be asked now."""


@dataclass(frozen=True, kw_only=True)
class ProofSeeker:
    """Asks destinations for what is due.

    Parameters
    ----------
    ledger : ProofLedger
    peers : mapping of str to Peer
    calling_ae_title : str
    settings : DeliverSettings
    look_for : callable
    """

    ledger: ProofLedger
    peers: Mapping[str, Peer]
    calling_ae_title: str
    settings: DeliverSettings
    look_for: LookFor

    def seek(self, destination: str) -> None:
        """Ask a destination to commit to what is due, and look for what is overdue."""
        peer = self.peers.get(destination)
        self._ask(destination, peer)
        overdue = self.ledger.claim_overdue(destination)
        if overdue:
            self._look(destination, peer, overdue)

    def _ask(self, destination: str, peer: Peer | None) -> None:
        transaction = self.ledger.open_transaction(
            destination,
            transaction_uid=f"2.25.{uuid4().int}",
            answer_within_s=self.settings.commitment_timeout_s,
        )
        if transaction is None:
            return
        uid = transaction.transaction_uid
        try:
            if peer is None:
                raise CommitmentUnsupported(f"no peer is called {destination}")
            if peer.dicomweb is not None and peer.dicomweb.store:
                raise CommitmentUnsupported("results go by STOW-RS, which has no commitment")
            answered = request_commitment(
                transaction,
                peer=peer,
                calling_ae_title=self.calling_ae_title,
                settings=self.settings,
                record=self.ledger.record_report,
            )
        except CommitmentUnsupported as reason:
            log.info("commitment.unsupported", peer=destination, reason=str(reason))
            self.ledger.transaction_unsupported(uid, error=str(reason))
        except TryLater as reason:
            log.warning("commitment.postponed", peer=destination, reason=str(reason))
            self.ledger.transaction_failed(uid, error=str(reason))
        else:
            log.info(
                "commitment.asked",
                peer=destination,
                transaction_uid=uid,
                objects=len(transaction.objects),
                answered=answered,
            )

    def _look(self, destination: str, peer: Peer | None, overdue: Sequence[Delivery]) -> None:
        try:
            if peer is None:
                raise SetupFault(f"no peer is called {destination}")
            presence = self.look_for(peer, overdue)
        except TryLater as reason:
            log.warning("proof.postponed", peer=destination, reason=str(reason))
            for delivery in overdue:
                self.ledger.look_again(delivery.delivery_id, detail=str(reason))
            return
        except SetupFault as fault:
            presence = {}
            remark = f"the query failed: {fault}"
        else:
            remark = "the query does not tell"
        for delivery in overdue:
            why, number = delivery.commitment_detail, delivery.delivery_id
            match presence.get(number, Presence.UNKNOWN):
                case Presence.FOUND:
                    self.ledger.delivery_found(number, detail=f"{why}; a query shows it")
                case Presence.MISSING:
                    detail = f"{why}; a query does not show it"
                    self.ledger.delivery_missing(number, detail=detail)
                case Presence.UNKNOWN:
                    self.ledger.delivery_unproven(number, detail=f"{why}; {remark}")
