"""What becomes of a delivery once more is known than that its destination accepted it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from numpy.random import Generator
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from node.jobs.backoff import Backoff
from node.jobs.delivery_rows import release, reopen
from node.jobs.delivery_state import DeliveryEvent
from node.jobs.job import PROVEN, CommitmentState, DeliveryState
from node.jobs.outbox import Clock
from node.jobs.rejected import reason_of_rejection
from node.jobs.rows import last_event, move
from node.jobs.stand_ins import StandIns
from node.jobs.state import JobEvent, JobState
from node.storage.clock import utc_now
from node.storage.tables import CommitmentRow, DeliveryRow, JobDeliveryRow, JobRow

log = structlog.get_logger()

ASK_AFTER = timedelta(seconds=2)
"""All objects of a job go into one request, and some archives index what they got first."""


class Proofs(StandIns):
    """Deliveries that are proven, lost or left unproven; see ``Claims`` for the parameters."""

    def __init__(
        self,
        engine: Engine,
        *,
        lease_s: float,
        maximum_attempts: int,
        backoff: Backoff,
        commitment: Mapping[str, bool],
        maximum_losses: int,
        maximum_commitment_attempts: int,
        now: Clock = utc_now,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(
            engine,
            lease_s=lease_s,
            maximum_attempts=maximum_attempts,
            backoff=backoff,
            now=now,
            generator=generator,
        )
        self._commitment = commitment
        self._maximum_losses = maximum_losses
        self._maximum_asked = maximum_commitment_attempts

    def _seek_proof(self, session: Session, row: DeliveryRow, *, at: datetime) -> None:
        if row.destination not in self._commitment:
            return
        proof = session.get(CommitmentRow, row.delivery_id, with_for_update=True)
        if proof is None:
            proof = CommitmentRow(delivery_id=row.delivery_id, losses=0, transaction_uid="")
            session.add(proof)
        proof.destination = row.destination
        proof.state = CommitmentState.WANTED.value
        proof.attempts = 0
        proof.detail = ""
        proof.accepted_at = at
        proof.due_at = at + ASK_AFTER

    def _ask_again(self, proof: CommitmentRow, detail: str, *, at: datetime) -> None:
        """Ask again after a back-off; look for the object once that was in vain too often."""
        is_last = proof.attempts >= self._maximum_asked
        proof.state = (CommitmentState.OVERDUE if is_last else CommitmentState.WANTED).value
        proof.detail = detail
        proof.due_at = at if is_last else at + self._backoff.delay(proof.attempts, self._generator)

    def _prove(
        self,
        session: Session,
        row: DeliveryRow,
        proof: CommitmentRow,
        event: DeliveryEvent,
        detail: str,
        *,
        at: datetime,
    ) -> None:
        if row.state not in (DeliveryState.ACCEPTED, DeliveryState.FOUND):
            return
        is_first = row.state == DeliveryState.ACCEPTED
        release(row, event, error="", at=at)
        proof.state = CommitmentState.CLOSED.value
        proof.detail = detail
        log.info(
            "delivery.proven",
            peer=row.destination,
            sop_instance_uid=row.sop_instance_uid,
            state=row.state,
        )
        if is_first:
            self._tell_jobs(session, row, at=at)

    def _tell_jobs(self, session: Session, row: DeliveryRow, *, at: datetime) -> None:
        session.flush()
        for job in self._lock_jobs(session, [row.delivery_id]):
            states = {each.state for each in self._linked(session, job.job_id)}
            states.discard(DeliveryState.REPLACED.value)
            if job.state == JobState.DELIVERED and states <= {state.value for state in PROVEN}:
                move(session, job, JobEvent.COMMITTED, at=at, detail=", ".join(sorted(states)))

    def _leave_unproven(
        self, session: Session, row: DeliveryRow, proof: CommitmentRow, detail: str, *, at: datetime
    ) -> None:
        if self._commitment.get(row.destination, False):
            self._give_up(session, row, proof, f"not proven: {detail}", at=at)
            return
        proof.state = CommitmentState.CLOSED.value
        proof.detail = detail

    def _lose(
        self, session: Session, row: DeliveryRow, proof: CommitmentRow, detail: str, *, at: datetime
    ) -> None:
        rejected = reason_of_rejection(session, row.sop_instance_uid)
        if rejected:  # whoever rejected it may well have removed it
            proof.state = CommitmentState.CLOSED.value
            proof.detail = rejected
            return
        proof.losses += 1
        if proof.losses > self._maximum_losses:
            reason = f"accepted and lost {proof.losses} times: {detail}"
            self._give_up(session, row, proof, reason, at=at)
            return
        if not Path(row.path).is_file():
            self._give_up(session, row, proof, f"lost, and its file is gone: {detail}", at=at)
            return
        proof.state = CommitmentState.CLOSED.value
        proof.transaction_uid = ""  # what is said of this sending says nothing of the next
        proof.detail = detail
        row.attempts = 0
        row.not_before = at + self._backoff.delay(proof.losses, self._generator)
        release(row, DeliveryEvent.LOSE, error=detail, at=at)
        jobs = self._reopen_jobs(session, row, detail, at=at)
        if not any(job.state == JobState.SENDING for job in jobs):
            release(row, DeliveryEvent.GIVE_UP, error=f"{detail}; no job wants it", at=at)

    def _give_up(
        self, session: Session, row: DeliveryRow, proof: CommitmentRow, detail: str, *, at: datetime
    ) -> None:
        """Put a delivery with the dead letters, and its jobs with the failed ones."""
        proof.state = CommitmentState.CLOSED.value
        proof.transaction_uid = ""
        proof.losses = 0  # a person who has it sent again begins anew
        proof.detail = detail
        release(row, DeliveryEvent.GIVE_UP, error=detail, at=at)
        self._settle(session, self._reopen_jobs(session, row, detail, at=at), at=at)

    def _reopen_delivered(
        self, session: Session, rows: Sequence[DeliveryRow], *, at: datetime
    ) -> None:
        """Have objects sent again that their destinations had taken."""
        jobs = self._lock_jobs(session, [row.delivery_id for row in rows])
        for row in rows:
            proof = session.get(CommitmentRow, row.delivery_id, with_for_update=True)
            if proof is not None:
                proof.state = CommitmentState.CLOSED.value
                proof.transaction_uid = ""
                proof.losses = 0  # as when a person has it sent again that was given up
            reopen(row, at=at)
        for job in jobs:
            if job.state == JobState.DELIVERED:
                move(session, job, JobEvent.RESEND, at=at)

    def _reopen_jobs(
        self, session: Session, row: DeliveryRow, detail: str, *, at: datetime
    ) -> list[JobRow]:
        """Move the jobs of a lost delivery back to SENDING; return those that are there."""
        session.flush()
        sending = []
        for job in self._lock_jobs(session, [row.delivery_id]):
            gave_up_sending = (
                job.state == JobState.FAILED
                and last_event(session, job.job_id) == JobEvent.SEND_FAILED
            )
            if job.state == JobState.DELIVERED or gave_up_sending:
                said = f"{row.destination}: {detail}"
                move(session, job, JobEvent.LOST, at=at, detail=said)
            if job.state == JobState.SENDING:
                sending.append(job)
        return sending

    def _lock_jobs(self, session: Session, delivery_ids: Collection[int]) -> Sequence[JobRow]:
        ids = select(JobDeliveryRow.job_id).where(JobDeliveryRow.delivery_id.in_(delivery_ids))
        query = select(JobRow).where(JobRow.job_id.in_(ids)).order_by(JobRow.job_id)
        return session.scalars(query.with_for_update(of=JobRow)).all()
