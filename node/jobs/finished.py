"""Finished jobs in the order in which their files may go when the disk is full."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Engine, Select, exists, not_, select

from node.jobs.job import CommitmentState, DeliveryState, Job
from node.jobs.rows import job_of
from node.jobs.state import JobState
from node.storage.database import reading
from node.storage.tables import CommitmentRow, DeliveryRow, JobDeliveryRow, JobRow, StudyRow

BATCH = 100


class Disposal(StrEnum):
    """Classes of what is finished; the first goes first."""

    DELIVERED = "delivered"  # accepted everywhere, and no proof is awaited
    DISCARDED = "discarded"  # refused, or cancelled: there is no result
    FAILED = "failed"  # given up before there was a result, and kept for so long


def removable_jobs(engine: Engine, disposal: Disposal, *, before: datetime) -> Iterator[Job]:
    """Yield the finished jobs of a class, oldest first.

    A job is never among them while an object of it is to be sent, was given up, or awaits the
    proof that its destination keeps it: its results may be nowhere else.

    Parameters
    ----------
    engine : Engine
    disposal : Disposal
    before : datetime
        Only jobs that came to rest earlier.
    """
    after: tuple[datetime, str] | None = None
    while True:
        query = _of(disposal).where(JobRow.updated_at < before)
        if after is not None:
            at, job_id = after
            later = (JobRow.updated_at > at) | (
                (JobRow.updated_at == at) & (JobRow.job_id > job_id)
            )
            query = query.where(later)
        query = query.order_by(JobRow.updated_at, JobRow.job_id).limit(BATCH)
        with reading(engine) as session:
            jobs = [job_of(row) for row in session.scalars(query)]
        yield from jobs
        if len(jobs) < BATCH:
            return
        after = (jobs[-1].updated_at, jobs[-1].job_id)


def studies_without_jobs(engine: Engine, *, before: datetime) -> list[str]:
    """Return the studies that were looked at and gave no work, oldest first."""
    query = (
        select(StudyRow.study_instance_uid)
        .where(
            StudyRow.assembled_digest.is_not(None),
            StudyRow.last_received_at < before,
            ~exists().where(JobRow.study_instance_uid == StudyRow.study_instance_uid),
        )
        .order_by(StudyRow.last_received_at)
    )
    with reading(engine) as session:
        return list(session.scalars(query))


def _of(disposal: Disposal) -> Select[JobRow]:
    states = {
        Disposal.DELIVERED: (JobState.DELIVERED,),
        Disposal.DISCARDED: (JobState.REJECTED, JobState.CANCELLED),
        Disposal.FAILED: (JobState.FAILED,),
    }[disposal]
    return select(JobRow).where(
        JobRow.state.in_([state.value for state in states]), not_(_has_unsettled_delivery())
    )


def has_unsettled_delivery(job_id: str) -> Select[bool]:
    """Ask the same of one job; see ``removable_jobs``."""
    return select(exists().where(JobRow.job_id == job_id, _has_unsettled_delivery()))


def _has_unsettled_delivery() -> ColumnElement[bool]:
    """Whether an object of a job may be nowhere but here; a cancelled sending counts as settled."""
    awaits_proof = (
        exists()
        .where(CommitmentRow.delivery_id == DeliveryRow.delivery_id)
        .where(CommitmentRow.state != CommitmentState.CLOSED.value)
    )
    open_states = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)
    return (
        exists()
        .where(JobDeliveryRow.job_id == JobRow.job_id)
        .where(DeliveryRow.delivery_id == JobDeliveryRow.delivery_id)
        .where(DeliveryRow.state.in_(open_states) | awaits_proof)
        .where(JobRow.state != JobState.CANCELLED.value)
    )
