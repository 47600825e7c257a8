"""What is to be sent where, and whether it was accepted.

A delivery is unique by destination and SOP instance UID, so the same object is never sent twice
once it was accepted, whatever job made it. Jobs that wait for a delivery are linked to it.

Locks on PostgreSQL are taken in one order, jobs before deliveries. Where an order in time would
still let a job miss its last delivery, ``settle_sending`` finds it at the next tick.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from numpy.random import Generator
from sqlalchemy import ColumnElement, Engine, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from node.domain.report import MESSAGES, Evidence, EvidenceKind
from node.jobs.backoff import Backoff
from node.jobs.delivery_rows import (
    SENDS,
    jobs_waiting_for,
    link_delivery,
    lock_delivery,
    release,
    reopen,
)
from node.jobs.delivery_state import DeliveryEvent
from node.jobs.job import IN_PEER, UNREADABLE, Delivery, DeliveryState
from node.jobs.rows import delivery_of, move
from node.jobs.state import JobEvent, JobState
from node.jobs.superseding import older_messages, reason_of_superseding, superseded_by
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import DeliveryRow, JobDeliveryRow, JobRow

log = structlog.get_logger()

Clock = Callable[[], datetime]
GoesTo = Callable[[str, Evidence], bool]
"""Name of a destination and a piece of a result -> whether it is sent there."""

DOCUMENTS = frozenset({EvidenceKind.SR.value, EvidenceKind.KO.value})
"""They refer to the other objects of a result, and are sent once those are decided."""
ON_REQUEST = frozenset({EvidenceKind.PDF})
"""Kinds that go to destinations which ask for them: the ladder sends them beside others."""


class Outbox:
    """Deliveries in the database.

    Parameters
    ----------
    engine : Engine
    lease_s : float
        How long a claim holds unless it is renewed.
    maximum_attempts : int
        Sendings after which a delivery is given up.
    backoff : Backoff
    now : callable
        Clock; aware UTC.
    generator : Generator, optional
        Spreads retries; none spreads nothing.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lease_s: float,
        maximum_attempts: int,
        backoff: Backoff,
        now: Clock = utc_now,
        generator: Generator | None = None,
    ) -> None:
        self._engine = engine
        self._lease = timedelta(seconds=lease_s)
        self._maximum_attempts = maximum_attempts
        self._backoff = backoff
        self._now = now
        self._generator = generator

    def due_destinations(self) -> list[str]:
        """Return the destinations for which a delivery is due and unclaimed."""
        query = select(DeliveryRow.destination).distinct().where(*self._due(self._now()))
        with reading(self._engine) as session:
            return sorted(session.scalars(query))

    def claim_deliveries(
        self, owner: str, *, limit: int = 100, destination: str | None = None
    ) -> list[Delivery]:
        """Lease due deliveries; each claim counts as an attempt, beyond the last it is given up.

        They are ordered by destination, and then as the queue of jobs is: the urgent first.
        """
        now = self._now()
        query = select(DeliveryRow).where(*self._due(now))
        if destination is not None:
            query = query.where(DeliveryRow.destination == destination)
        place = (
            select(func.min(JobRow.queue_place))
            .join(JobDeliveryRow, JobDeliveryRow.job_id == JobRow.job_id)
            .where(
                JobDeliveryRow.delivery_id == DeliveryRow.delivery_id,
                JobRow.state == JobState.SENDING.value,
            )
            .scalar_subquery()
        )
        query = query.order_by(DeliveryRow.destination, place, DeliveryRow.delivery_id).limit(limit)
        with writing(self._engine) as session:
            rows = session.scalars(query.with_for_update(skip_locked=True, of=DeliveryRow)).all()
            claimed = []
            for row in rows:
                if row.attempts >= self._maximum_attempts:
                    # it never failed by itself: whoever sent it was lost each time. Its jobs are
                    # locked before deliveries, so they are settled at the next tick
                    error = f"given up: {row.attempts} sendings, and the last one never ended"
                    release(row, DeliveryEvent.GIVE_UP, error=error, at=now)
                    continue
                row.attempts += 1
                row.lease_owner = owner
                row.lease_until = now + self._lease
                claimed.append(delivery_of(row))
            return claimed

    def renew_deliveries(self, owner: str, delivery_ids: Iterable[int]) -> int:
        """Prolong the leases of deliveries under way; return how many are still held."""
        statement = (
            update(DeliveryRow)
            .where(DeliveryRow.delivery_id.in_(list(delivery_ids)), *_held_by(owner))
            .values(lease_until=self._now() + self._lease)
            .returning(DeliveryRow.delivery_id)
        )
        with writing(self._engine) as session:
            return len(session.scalars(statement).all())

    def delivery_done(self, delivery_id: int, owner: str) -> None:
        """Record that the destination accepted the object; true whoever holds the lease now."""
        now = self._now()
        with writing(self._engine) as session:
            jobs = jobs_waiting_for(session, delivery_id)
            row = lock_delivery(session, delivery_id)
            if row.lease_owner != owner:
                log.warning("delivery.lease_lost", delivery_id=delivery_id, owner=owner)
            was_in_peer = row.state in IN_PEER
            release(row, DeliveryEvent.ACCEPT, error="", at=now)
            if not was_in_peer:
                self._seek_proof(session, row, at=now)
            self._settle(session, jobs, at=now)

    def delivery_failed(self, delivery_id: int, owner: str, *, error: str, retry: bool) -> None:
        """Record a failed sending: due again after a back-off, or given up.

        Parameters
        ----------
        delivery_id : int
        owner : str
            Nothing happens when it lost the lease.
        error : str
        retry : bool
            Whether the destination may accept it later.
        """
        now = self._now()
        with writing(self._engine) as session:
            jobs = jobs_waiting_for(session, delivery_id)
            row = lock_delivery(session, delivery_id)
            if row.state != DeliveryState.PENDING or row.lease_owner != owner:
                log.warning("delivery.lease_lost", delivery_id=delivery_id, owner=owner)
                return
            if retry and row.attempts < self._maximum_attempts:
                row.not_before = now + self._backoff.delay(row.attempts, self._generator)
                release(row, None, error=error, at=now)
                return
            release(row, DeliveryEvent.GIVE_UP, error=error, at=now)
            self._settle(session, jobs, at=now)

    def delivery_postponed(self, delivery_id: int, owner: str, *, error: str) -> None:
        """Record that a sending was put off, as what it refers to is not there yet.

        This does not count as an attempt.
        """
        now = self._now()
        with writing(self._engine) as session:
            row = lock_delivery(session, delivery_id)
            if row.state == DeliveryState.PENDING and row.lease_owner == owner:
                row.attempts = max(row.attempts - 1, 0)
                row.not_before = now + self._backoff.delay(1, self._generator)
                release(row, None, error=error, at=now)

    def deliveries(self, job_id: str) -> list[Delivery]:
        """Return all deliveries that a job waits or waited for."""
        with reading(self._engine) as session:
            return [delivery_of(row) for row in self._linked(session, job_id)]

    def release_deliveries(self, owner: str) -> int:
        """Make the leased deliveries of an owner that is known to be gone due.

        At once, or after a back-off where it is not the first time: one of them may be what ends
        the owner, and what is behind them must have its turn.
        """
        now = self._now()
        query = select(DeliveryRow).where(*_held_by(owner)).with_for_update()
        with writing(self._engine) as session:
            rows = session.scalars(query).all()
            for row in rows:
                row.lease_owner, row.lease_until = "", None
                if row.attempts > 1:
                    row.not_before = now + self._backoff.delay(row.attempts, self._generator)
            return len(rows)

    def settle_sending(self) -> int:
        """Conclude every job whose deliveries are all decided; return how many there were."""
        pending = (
            exists()
            .where(JobDeliveryRow.job_id == JobRow.job_id)
            .where(DeliveryRow.delivery_id == JobDeliveryRow.delivery_id)
            .where(DeliveryRow.state == DeliveryState.PENDING.value)
        )
        query = select(JobRow).where(JobRow.state == JobState.SENDING.value, ~pending)
        with writing(self._engine) as session:
            jobs = session.scalars(query.with_for_update(skip_locked=True)).all()
            self._settle(session, jobs, at=self._now())
            return len(jobs)

    def _seek_proof(self, session: Session, row: DeliveryRow, *, at: datetime) -> None:
        """Hook: a destination has accepted an object; a plain outbox asks for nothing more."""

    def _enqueue(
        self,
        session: Session,
        job: JobRow,
        evidence: Sequence[Evidence],
        *,
        at: datetime,
        goes_to: GoesTo,
    ) -> bool:
        """Link a job to a delivery for each object and destination; tell whether any is open."""
        session.execute(delete(JobDeliveryRow).where(JobDeliveryRow.job_id == job.job_id))
        objects = [
            item for item in evidence if item.sop_instance_uid and item.kind not in ON_REQUEST
        ]
        is_open = False
        for destination in sorted(set(job.destinations)):
            for item in objects:
                if not goes_to(destination, item):
                    continue
                later = reason_of_superseding(session, job, destination, item.kind)
                if item.kind in MESSAGES and not later:
                    for delivery_id in older_messages(session, job, destination, item.kind):
                        self._set_aside(session, delivery_id, superseded_by(job.job_id), at=at)
                is_open |= link_delivery(session, job, destination, item, at=at, not_sent=later)
        return is_open

    def _set_aside(self, session: Session, delivery_id: int, reason: str, *, at: datetime) -> bool:
        """Have a delivery that is not accepted sent no more; tell whether there was one."""
        jobs = jobs_waiting_for(session, delivery_id)
        row = lock_delivery(session, delivery_id)
        if row.state not in (DeliveryState.PENDING, DeliveryState.FAILED):
            return False
        release(row, DeliveryEvent.REPLACE, error=reason, at=at)
        self._settle(session, jobs, at=at)
        return True

    def _resend(self, session: Session, job_id: str, *, at: datetime) -> bool:
        """Open the given-up deliveries of a job; False when a file of theirs is gone or damaged."""
        rows = [row for row in self._linked(session, job_id) if row.state == DeliveryState.FAILED]
        if any(row.error.startswith(UNREADABLE) for row in rows):
            return False
        if not all(delivery_of(row).path.is_file() for row in rows):
            return False
        for row in rows:
            reopen(row, at=at)
        return True

    def _settle(self, session: Session, jobs: Iterable[JobRow], *, at: datetime) -> None:
        """Move jobs whose deliveries are all decided out of SENDING."""
        session.flush()
        for job in jobs:
            if (
                job.state != JobState.SENDING
            ):  # rejected: what becomes of the report changes nothing
                continue
            rows = self._linked(session, job.job_id)
            if any(row.state == DeliveryState.PENDING for row in rows):
                continue
            failed = [row for row in rows if row.state == DeliveryState.FAILED]
            if failed:
                job.error = "; ".join(sorted({f"{row.destination}: {row.error}" for row in failed}))
                move(session, job, JobEvent.SEND_FAILED, at=at, detail=job.error)
            else:
                job.error = ""
                move(session, job, JobEvent.ACCEPTED, at=at)

    @staticmethod
    def _linked(session: Session, job_id: str) -> Sequence[DeliveryRow]:
        link = JobDeliveryRow.delivery_id == DeliveryRow.delivery_id
        query = select(DeliveryRow).join(JobDeliveryRow, link)
        query = query.where(JobDeliveryRow.job_id == job_id).order_by(DeliveryRow.delivery_id)
        return session.scalars(query).all()

    @staticmethod
    def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
        wanted = (
            exists()
            .where(JobDeliveryRow.delivery_id == DeliveryRow.delivery_id)
            .where(JobRow.job_id == JobDeliveryRow.job_id)
            .where(JobRow.state.in_(SENDS))
        )
        # What a document refers to goes before it, or in the same batch.
        mine, theirs, referred = (
            aliased(JobDeliveryRow),
            aliased(JobDeliveryRow),
            aliased(DeliveryRow),
        )
        waits = (
            exists()
            .where(mine.delivery_id == DeliveryRow.delivery_id, theirs.job_id == mine.job_id)
            .where(referred.delivery_id == theirs.delivery_id)
            .where(referred.destination == DeliveryRow.destination)
            .where(referred.state == DeliveryState.PENDING.value)
            .where(referred.kind.not_in(DOCUMENTS))
            .where(or_(referred.not_before > now, referred.lease_until >= now))
        )
        return (
            DeliveryRow.state == DeliveryState.PENDING.value,
            DeliveryRow.not_before <= now,
            or_(DeliveryRow.lease_until.is_(None), DeliveryRow.lease_until < now),
            wanted,
            or_(DeliveryRow.kind.not_in(DOCUMENTS), ~waits),
        )


def _held_by(owner: str) -> tuple[ColumnElement[bool], ...]:
    return DeliveryRow.state == DeliveryState.PENDING.value, DeliveryRow.lease_owner == owner
