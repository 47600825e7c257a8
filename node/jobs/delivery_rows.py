"""Rows of deliveries: found or added, locked, advanced, and linked to the jobs that wait."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.dicom.text import as_stored
from node.domain.report import Evidence
from node.jobs.delivery_state import DeliveryEvent, advance_delivery
from node.jobs.job import IN_PEER, DeliveryState
from node.jobs.rejected import reason_of_rejection
from node.jobs.state import JobState
from node.storage.tables import DeliveryRow, JobDeliveryRow, JobRow

SENDS = (JobState.SENDING.value, JobState.REJECTED.value)
"""States of a job whose objects are sent; a rejected one has at most a report that says so."""


def link_delivery(
    session: Session,
    job: JobRow,
    destination: str,
    item: Evidence,
    *,
    at: datetime,
    stands_for: DeliveryRow | None = None,
    not_sent: str = "",
) -> bool:
    """Have a job wait for an object, or for what stands in for it; tell whether it is open.

    With a reason in ``not_sent`` it is written down, and not sent.
    """
    row = _find_or_add(session, job, destination, item, at=at)
    if not_sent and row.state == DeliveryState.PENDING:
        release(row, DeliveryEvent.REPLACE, error=not_sent, at=at)
    if stands_for is not None and stands_for.delivery_id != row.delivery_id:
        row.stands_for = row.stands_for or stands_for.sop_instance_uid
    rows, is_open = [row], False
    seen: set[int] = set()
    while rows:
        each = rows.pop()
        if each.delivery_id in seen:
            continue
        seen.add(each.delivery_id)
        if session.get(JobDeliveryRow, (job.job_id, each.delivery_id)) is None:
            session.add(JobDeliveryRow(job_id=job.job_id, delivery_id=each.delivery_id))
            session.flush()
        if each.state == DeliveryState.FAILED:
            reopen(each, at=at)
        is_open |= each.state == DeliveryState.PENDING
        if each.state == DeliveryState.REPLACED:
            rows += _stand_ins(session, each)
    return is_open


def lock_delivery(session: Session, delivery_id: int) -> DeliveryRow:
    """Return the row of a delivery, locked; KeyError if there is none."""
    row = session.get(DeliveryRow, delivery_id, with_for_update=True)
    if row is None:
        raise KeyError(delivery_id)
    return row


def jobs_waiting_for(session: Session, delivery_id: int) -> Sequence[JobRow]:
    """Return the jobs that have objects sent and wait for a delivery, locked."""
    return linked_jobs(session, delivery_id, JobRow.state.in_(SENDS))


def linked_jobs(
    session: Session, delivery_id: int, *conditions: ColumnElement[bool]
) -> Sequence[JobRow]:
    """Return the jobs that made what is delivered, in whatever state, locked."""
    query = (
        select(JobRow)
        .join(JobDeliveryRow, JobDeliveryRow.job_id == JobRow.job_id)
        .where(JobDeliveryRow.delivery_id == delivery_id, *conditions)
        .order_by(JobRow.job_id)
        .with_for_update(of=JobRow)
    )
    return session.scalars(query).all()


def _find_or_add(
    session: Session, job: JobRow, destination: str, item: Evidence, *, at: datetime
) -> DeliveryRow:
    query = (
        select(DeliveryRow)
        .where(
            DeliveryRow.destination == destination,
            DeliveryRow.sop_instance_uid == item.sop_instance_uid,
        )
        .with_for_update()
    )
    row = session.scalar(query)
    if row is None:
        rejected = reason_of_rejection(session, item.sop_instance_uid)
        row = DeliveryRow(
            job_id=job.job_id,
            destination=destination,
            kind=item.kind.value,
            sop_class_uid=item.sop_class_uid,
            sop_instance_uid=item.sop_instance_uid,
            path=str(item.path),
            state=(DeliveryState.REPLACED if rejected else DeliveryState.PENDING).value,
            attempts=0,
            not_before=at,
            lease_owner="",
            lease_until=None,
            error=rejected,
            updated_at=at,
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # PostgreSQL: another job made the same object just now
            row = session.scalars(query).one()
        else:
            return row
    if row.state not in IN_PEER:
        row.path = str(item.path)
    if row.state == DeliveryState.FAILED:
        reopen(row, at=at)
    return row


def _stand_ins(session: Session, row: DeliveryRow) -> Sequence[DeliveryRow]:
    query = select(DeliveryRow).where(
        DeliveryRow.destination == row.destination,
        DeliveryRow.stands_for == row.sop_instance_uid,
    )
    return session.scalars(query.with_for_update()).all()


def reopen(row: DeliveryRow, *, at: datetime) -> None:
    """Have a delivery that was given up sent again."""
    row.attempts = 0
    row.not_before = at
    release(row, DeliveryEvent.REOPEN, error="", at=at)


def release(row: DeliveryRow, event: DeliveryEvent | None, *, error: str, at: datetime) -> None:
    """Advance a delivery, or leave it where it is, and let go of its lease."""
    if event is not None:
        row.state = advance_delivery(DeliveryState(row.state), event).value
    row.error = as_stored(error)
    row.lease_owner = ""
    row.lease_until = None
    row.updated_at = at
