"""Between rows of the database and what callers see, and the one way to move a job."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.domain.errors import Problem
from node.domain.intake import Intake
from node.domain.priority import Priority
from node.jobs.job import CommitmentState, Delivery, DeliveryState, Job, JobEventRow
from node.jobs.state import JobEvent, JobState, advance
from node.storage.tables import CommitmentRow, DeliveryRow, JobEventLine, JobRow

Note = Literal["stage", "wait"]
"""Events of lines that are no transition."""
STAGE: Note = "stage"
"""Tells that a stage began."""
WAIT: Note = "wait"
"""Tells why a job that is due waits."""


def move(session: Session, row: JobRow, event: JobEvent, *, at: datetime, detail: str = "") -> None:
    """Advance a job and append the line that tells so; a job that rests holds no lease."""
    row.state = advance(JobState(row.state), event).value
    row.updated_at = at
    note(session, row, event, at=at, detail=detail)
    if row.state != JobState.RUNNING:
        row.lease_owner = ""
        row.lease_until = None


def note(
    session: Session, row: JobRow, event: JobEvent | Note, *, at: datetime, detail: str = ""
) -> None:
    """Append a line to the history of a job."""
    session.add(
        JobEventLine(
            job_id=row.job_id,
            at=at,
            event=str(event),
            state=row.state,
            stage=row.stage,
            attempt=row.attempts,
            owner=row.lease_owner,
            detail=detail,
        )
    )


def locked_job(session: Session, job_id: str) -> JobRow:
    """Return the row of a job, locked until the transaction ends; KeyError if there is none."""
    row = session.get(JobRow, job_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise KeyError(job_id)
    return row


def job_of(row: JobRow) -> Job:
    """Return a job as callers see it."""
    return Job(
        job_id=row.job_id,
        study_instance_uid=row.study_instance_uid,
        series_instance_uids=tuple(row.series_instance_uids),
        bundle=row.bundle,
        rule=row.rule,
        destinations=tuple(row.destinations),
        calling_ae_title=row.calling_ae_title,
        content_digest=row.content_digest,
        state=JobState(row.state),
        stage=row.stage,
        attempts=row.attempts,
        not_before=row.not_before,
        created_at=row.created_at,
        updated_at=row.updated_at,
        lease_owner=row.lease_owner,
        lease_until=row.lease_until,
        error=row.error,
        problems=tuple(Problem(**problem) for problem in row.problems),
        result=row.result,
        intake=Intake.from_json(row.intake, row.series_instance_uids),
        priority=Priority(row.priority or Priority.ROUTINE),
        memory_bytes=row.memory_bytes or 0,
    )


def event_of_line(line: JobEventLine) -> JobEventRow:
    """Return a line of history as callers see it."""
    return JobEventRow(
        at=line.at,
        event=line.event,
        state=JobState(line.state),
        stage=line.stage,
        attempt=line.attempt,
        owner=line.owner,
        detail=line.detail,
    )


def delivery_of(row: DeliveryRow, proof: CommitmentRow | None = None) -> Delivery:
    """Return a delivery as callers see it."""
    return Delivery(
        delivery_id=row.delivery_id,
        job_id=row.job_id,
        destination=row.destination,
        kind=row.kind,
        sop_class_uid=row.sop_class_uid,
        sop_instance_uid=row.sop_instance_uid,
        path=Path(row.path),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        not_before=row.not_before,
        error=row.error,
        commitment=None if proof is None else CommitmentState(proof.state),
        commitment_detail="" if proof is None else proof.detail,
        losses=0 if proof is None else proof.losses,
        stands_for=row.stands_for or "",
    )


def last_event(session: Session, job_id: str) -> str | None:
    """Return the latest event in the history of a job."""
    query = select(JobEventLine.event).where(JobEventLine.job_id == job_id)
    return session.scalar(query.order_by(JobEventLine.event_id.desc()).limit(1))
