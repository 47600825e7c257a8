"""Proof that destinations hold what they accepted, and what follows where they lost it.

A commitment is asked for in transactions that outlive the process: the answer may come hours
later, to another process, after the request was overdue. Every method is one transaction of the
database; locks are taken as in the outbox, jobs before deliveries.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from node.domain.commitment import CommitmentReport, CommitmentVerdict, verdict_of
from node.jobs.delivery_state import DeliveryEvent
from node.jobs.job import CommitmentState, Delivery, DeliveryState
from node.jobs.proofs import ASK_AFTER, Proofs
from node.jobs.rows import delivery_of
from node.storage.database import reading, writing
from node.storage.tables import (
    CommitmentItemRow,
    CommitmentRow,
    CommitmentTransactionRow,
    DeliveryRow,
    JobDeliveryRow,
    JobRow,
)

log = structlog.get_logger()

MAXIMUM_LOOKS = 100
"""How often a destination that cannot be queried is tried: a day, with the usual back-off."""
OPEN = (CommitmentState.WANTED.value, CommitmentState.ASKED.value, CommitmentState.OVERDUE.value)


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """A request for commitment that is about to leave.

    Parameters
    ----------
    transaction_uid, destination : str
    objects : tuple of (str, str)
        SOP Class UID and SOP Instance UID of each.
    """

    transaction_uid: str
    destination: str
    objects: tuple[tuple[str, str], ...]


class Commitments(Proofs):
    """Deliveries and their proofs; see ``Claims`` for the parameters."""

    def destinations_to_prove(self) -> list[str]:
        """Return the destinations of which a proof is to be asked for, or is overdue."""
        query = select(CommitmentRow.destination).distinct()
        with reading(self._engine) as session:
            return sorted(session.scalars(query.where(*_due(OPEN, self._now()))))

    def open_transaction(
        self, destination: str, *, transaction_uid: str, answer_within_s: float, limit: int = 500
    ) -> Transaction | None:
        """Write down a request for all objects that are due; None when there are none.

        It is durable before it leaves: the answer may overtake the one to the request.
        """
        now = self._now()
        with writing(self._engine) as session:
            soon = now + ASK_AFTER  # what was accepted a moment ago goes along
            pairs = self._claim(session, CommitmentState.WANTED, destination, soon, limit)
            if not pairs:
                return None
            session.add(
                CommitmentTransactionRow(
                    transaction_uid=transaction_uid,
                    destination=destination,
                    asked_at=now,
                    answered_at=None,
                )
            )
            session.flush()
            for row, proof in pairs:
                proof.state = CommitmentState.ASKED.value
                proof.transaction_uid = transaction_uid
                proof.attempts += 1
                proof.due_at = now + timedelta(seconds=answer_within_s)
                session.add(
                    CommitmentItemRow(transaction_uid=transaction_uid, delivery_id=row.delivery_id)
                )
            return Transaction(
                transaction_uid=transaction_uid,
                destination=destination,
                objects=tuple((row.sop_class_uid, row.sop_instance_uid) for row, _ in pairs),
            )

    def transaction_failed(self, transaction_uid: str, *, error: str) -> None:
        """Record that a request was not taken: asked again after a back-off, a few times."""
        now = self._now()
        with writing(self._engine) as session:
            for row, proof in self._items(session, transaction_uid):
                if _is_asked(row, proof, transaction_uid):
                    self._ask_again(proof, error, at=now)

    def transaction_unsupported(self, transaction_uid: str, *, error: str) -> None:
        """Record that the destination does not offer the service: nothing to ask for.

        Where a proof is required the objects are looked for instead.
        """
        with writing(self._engine) as session:
            for row, proof in self._items(session, transaction_uid):
                if not _is_asked(row, proof, transaction_uid):
                    continue
                proof.detail = error
                if self._commitment.get(proof.destination, False):
                    proof.state = CommitmentState.OVERDUE.value
                    proof.due_at = self._now()
                else:
                    proof.state = CommitmentState.CLOSED.value

    def record_report(self, report: CommitmentReport) -> bool:
        """Record the answer to a transaction; False when the node never asked for it.

        Late answers count: objects are committed whenever the destination says so. That it lost
        one is only heard about the sending that the transaction asked about.
        """
        now = self._now()
        with writing(self._engine) as session:
            transaction = session.get(CommitmentTransactionRow, report.transaction_uid)
            if transaction is None:
                return False
            transaction.answered_at = now
            asked = self._items(session, report.transaction_uid, lock=True)
            for row, proof in asked:
                uid = row.sop_instance_uid
                if uid in report.committed:
                    detail = f"committed by transaction {report.transaction_uid}"
                    self._prove(session, row, proof, DeliveryEvent.COMMIT, detail, at=now)
                elif uid in report.failed and _is_latest(row, proof, report.transaction_uid):
                    self._answer_failure(session, row, proof, report.failed[uid], at=now)
            return True

    def claim_overdue(self, destination: str, *, limit: int = 500) -> list[Delivery]:
        """Return deliveries that should have been proven by now; not again before a lease ends."""
        now = self._now()
        with writing(self._engine) as session:
            overdue = []
            for state in (CommitmentState.ASKED, CommitmentState.OVERDUE):
                overdue += self._claim(session, state, destination, now, limit)
            for _, proof in overdue:
                if proof.state == CommitmentState.ASKED:
                    proof.state = CommitmentState.OVERDUE.value
                    proof.detail = "no answer to the request for commitment in time"
                proof.due_at = now + self._lease
            return [delivery_of(row, proof) for row, proof in overdue]

    def delivery_found(self, delivery_id: int, *, detail: str) -> None:
        """Record that a query showed the object in its destination."""
        self._conclude(delivery_id, DeliveryEvent.FIND, detail)

    def delivery_missing(self, delivery_id: int, *, detail: str) -> None:
        """Record that a query showed the object missing: it is sent again, a few times."""
        self._conclude(delivery_id, DeliveryEvent.LOSE, detail)

    def delivery_unproven(self, delivery_id: int, *, detail: str) -> None:
        """Record that nothing can be learnt about the object; a fault where proof is required."""
        self._conclude(delivery_id, None, detail)

    def look_again(self, delivery_id: int, *, detail: str) -> None:
        """Record that the destination could not be asked now; look again after a back-off.

        In the end it stays unproven: nothing waits for ever, and files must be purged some day.
        """
        now = self._now()
        with writing(self._engine) as session:
            self._lock_jobs(session, [delivery_id])
            row = session.get(DeliveryRow, delivery_id, with_for_update=True)
            proof = session.get(CommitmentRow, delivery_id, with_for_update=True)
            if row is None or proof is None or proof.state != CommitmentState.OVERDUE:
                return
            if proof.attempts >= self._maximum_asked + MAXIMUM_LOOKS:
                self._leave_unproven(session, row, proof, detail, at=now)
            else:
                proof.attempts += 1
                proof.detail = detail
                proof.due_at = now + self._backoff.delay(proof.attempts, self._generator)

    def deliveries(self, job_id: str) -> list[Delivery]:
        """Return all deliveries that a job waits or waited for, with their proofs."""
        with reading(self._engine) as session:
            rows = self._linked(session, job_id)
            proofs = _proofs(session, [row.delivery_id for row in rows])
            return [delivery_of(row, proofs.get(row.delivery_id)) for row in rows]

    def _conclude(self, delivery_id: int, event: DeliveryEvent | None, detail: str) -> None:
        now = self._now()
        with writing(self._engine) as session:
            self._lock_jobs(session, [delivery_id])
            row = session.get(DeliveryRow, delivery_id, with_for_update=True)
            proof = session.get(CommitmentRow, delivery_id, with_for_update=True)
            if row is None or proof is None or proof.state != CommitmentState.OVERDUE:
                return  # an answer came meanwhile
            if event is DeliveryEvent.FIND:
                self._prove(session, row, proof, event, detail, at=now)
            elif event is DeliveryEvent.LOSE:
                self._lose(session, row, proof, detail, at=now)
            else:
                self._leave_unproven(session, row, proof, detail, at=now)

    def _answer_failure(
        self, session: Session, row: DeliveryRow, proof: CommitmentRow, reason: int, *, at: datetime
    ) -> None:
        verdict, words = verdict_of(reason)
        log.warning(
            "commitment.failed",
            peer=row.destination,
            sop_instance_uid=row.sop_instance_uid,
            reason=words,
        )
        match verdict:
            case CommitmentVerdict.SEND_AGAIN:
                self._lose(session, row, proof, f"commitment failed: {words}", at=at)
            case CommitmentVerdict.ASK_AGAIN:
                self._ask_again(proof, f"commitment failed: {words}", at=at)
            case CommitmentVerdict.UNWILLING:
                self._leave_unproven(session, row, proof, f"commitment failed: {words}", at=at)
            case CommitmentVerdict.CONFLICT:
                self._give_up(session, row, proof, f"commitment failed: {words}", at=at)

    def _items(
        self, session: Session, transaction_uid: str, *, lock: bool = False
    ) -> list[tuple[DeliveryRow, CommitmentRow]]:
        query = select(CommitmentItemRow.delivery_id).where(
            CommitmentItemRow.transaction_uid == transaction_uid
        )
        ids = list(session.scalars(query))
        if lock:
            self._lock_jobs(session, ids)
        return _locked_pairs(session, DeliveryRow.delivery_id.in_(ids))

    def _claim(
        self,
        session: Session,
        state: CommitmentState,
        destination: str,
        now: datetime,
        limit: int,
    ) -> list[tuple[DeliveryRow, CommitmentRow]]:
        due = (*_due((state.value,), now), CommitmentRow.destination == destination)
        return _locked_pairs(session, *due, limit=limit, skip_locked=True)

    @staticmethod
    def _forget_proof(session: Session, delivery_id: int) -> None:
        """Remove what is kept about the proof of a delivery that is to be removed."""
        item = CommitmentItemRow
        asked = list(
            session.scalars(select(item.transaction_uid).where(item.delivery_id == delivery_id))
        )
        session.execute(delete(item).where(item.delivery_id == delivery_id))
        session.execute(delete(CommitmentRow).where(CommitmentRow.delivery_id == delivery_id))
        transaction = CommitmentTransactionRow
        session.execute(
            delete(transaction).where(
                transaction.transaction_uid.in_(asked),
                ~exists().where(item.transaction_uid == transaction.transaction_uid),
            )
        )

    @staticmethod
    def _awaits_proof() -> ColumnElement[bool]:
        return (
            exists()
            .where(JobDeliveryRow.job_id == JobRow.job_id)
            .where(CommitmentRow.delivery_id == JobDeliveryRow.delivery_id)
            .where(CommitmentRow.state.in_(OPEN))
        )


def _due(states: Iterable[str], now: datetime) -> tuple[ColumnElement[bool], ...]:
    return CommitmentRow.state.in_(list(states)), CommitmentRow.due_at <= now


def _is_latest(row: DeliveryRow, proof: CommitmentRow, transaction_uid: str) -> bool:
    """Tell whether a transaction is the latest about what the destination has accepted.

    Also where it was closed unproven meanwhile: some archives answer at night.
    """
    return (
        row.state == DeliveryState.ACCEPTED
        and proof.state != CommitmentState.WANTED
        and proof.transaction_uid == transaction_uid
    )


def _is_asked(row: DeliveryRow, proof: CommitmentRow, transaction_uid: str) -> bool:
    """Tell the same of a transaction whose answer is still awaited."""
    open_states = (CommitmentState.ASKED, CommitmentState.OVERDUE)
    return _is_latest(row, proof, transaction_uid) and proof.state in open_states


def _locked_pairs(
    session: Session,
    *conditions: ColumnElement[bool],
    limit: int | None = None,
    skip_locked: bool = False,
) -> list[tuple[DeliveryRow, CommitmentRow]]:
    query = (
        select(DeliveryRow, CommitmentRow)
        .join(CommitmentRow, CommitmentRow.delivery_id == DeliveryRow.delivery_id)
        .where(*conditions)
        .order_by(DeliveryRow.delivery_id)
        .limit(limit)
        .with_for_update(skip_locked=skip_locked, of=(DeliveryRow, CommitmentRow))
    )
    return [(row, proof) for row, proof in session.execute(query)]


def _proofs(session: Session, delivery_ids: Collection[int]) -> dict[int, CommitmentRow]:
    query = select(CommitmentRow).where(CommitmentRow.delivery_id.in_(delivery_ids))
    return {proof.delivery_id: proof for proof in session.scalars(query)}
