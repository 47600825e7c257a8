"""Messages that a later evaluation of the same study takes the place of.

A RIS and a FHIR server keep one result for each study and model by name, and the last to come
stays. So a message that waits for its receiver is sent no more once a later one is to go there.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from node.domain.report import MESSAGES
from node.jobs.job import DeliveryState
from node.storage.tables import DeliveryRow, JobDeliveryRow, JobRow

KINDS = frozenset(kind.value for kind in MESSAGES)
WAITING = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)
"""One that was given up would go out when a person retries its job."""


def older_messages(session: Session, job: JobRow, destination: str, kind: str) -> Sequence[int]:
    """Return the deliveries, not accepted so far, that a message of a job takes the place of."""
    query = (
        select(DeliveryRow.delivery_id)
        .join(JobDeliveryRow, JobDeliveryRow.delivery_id == DeliveryRow.delivery_id)
        .join(JobRow, JobRow.job_id == JobDeliveryRow.job_id)
        .where(*_same_result(job, destination, kind))
        .where(JobRow.created_at < job.created_at, DeliveryRow.state.in_(WAITING))
        .order_by(DeliveryRow.delivery_id)
    )
    return tuple(dict.fromkeys(session.scalars(query)))


def reason_of_superseding(session: Session, job: JobRow, destination: str, kind: str) -> str:
    """Return why a message of a job is not sent: a later job has one; empty if none has."""
    query = (
        select(JobRow.job_id)
        .join(JobDeliveryRow, JobDeliveryRow.job_id == JobRow.job_id)
        .join(DeliveryRow, DeliveryRow.delivery_id == JobDeliveryRow.delivery_id)
        .where(*_same_result(job, destination, kind), JobRow.created_at > job.created_at)
        .order_by(JobRow.created_at.desc(), JobRow.job_id)
        .limit(1)
    )
    newer = session.scalar(query) if kind in KINDS else None
    return "" if newer is None else superseded_by(newer)


def superseded_by(job_id: str) -> str:
    """Return the reason as it stands in the ledger."""
    return f"superseded by the later evaluation {job_id}"


def _same_result(job: JobRow, destination: str, kind: str) -> tuple[ColumnElement[bool], ...]:
    name = job.bundle.partition("/")[0]
    return (
        JobRow.study_instance_uid == job.study_instance_uid,
        (JobRow.bundle == name) | JobRow.bundle.startswith(f"{name}/", autoescape=True),
        DeliveryRow.destination == destination,
        DeliveryRow.kind == kind,
    )
