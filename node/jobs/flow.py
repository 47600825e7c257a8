"""The flow of studies as a person watches it: what runs now, and what came out of late."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from node.domain.priority import Priority
from node.jobs.job import IN_PEER, DeliveryState
from node.jobs.rows import STAGE
from node.jobs.state import JobEvent, JobState
from node.storage.database import reading
from node.storage.tables import DeliveryRow, JobEventLine, JobRow


@dataclass(frozen=True, kw_only=True)
class RunningJob:
    """A job that a worker holds.

    Parameters
    ----------
    job_id, study_instance_uid, bundle, stage, worker : str
        ``stage`` is empty while the bundle is loaded.
    stage_began_at : datetime
    priority : Priority
    """

    job_id: str
    study_instance_uid: str
    bundle: str
    stage: str
    worker: str
    stage_began_at: datetime
    priority: Priority


@dataclass(frozen=True, kw_only=True)
class PeerSending:
    """What was sent to a peer of late.

    Parameters
    ----------
    last_sent_at : datetime or None
    error : str
        Of the latest delivery that waits for another attempt, or was given up.
    """

    last_sent_at: datetime | None
    error: str


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What runs, and what ended since a moment.

    Parameters
    ----------
    running : tuple of RunningJob
        The longest in its stage first.
    delivered, committed, rejected : int
        Jobs since then; a committed one counts as delivered, too.
    sending : mapping of str to PeerSending
        By peer.
    """

    running: tuple[RunningJob, ...]
    delivered: int
    committed: int
    rejected: int
    sending: Mapping[str, PeerSending]


def measure_flow(engine: Engine, *, since: datetime) -> Flow:
    """Look at the ledger."""
    with reading(engine) as session:
        return Flow(
            running=_running(session),
            delivered=_came_to(session, JobEvent.ACCEPTED, JobEvent.FINISH_EMPTY, since=since),
            committed=_came_to(session, JobEvent.COMMITTED, since=since),
            rejected=_came_to(session, JobEvent.REJECT, JobEvent.REFUSE, since=since),
            sending=_sending(session),
        )


def _running(session: Session) -> tuple[RunningJob, ...]:
    began = (
        select(JobEventLine.job_id, func.max(JobEventLine.at).label("at"))
        .where(JobEventLine.event.in_([STAGE, JobEvent.CLAIM.value]))
        .group_by(JobEventLine.job_id)
        .subquery()
    )
    query = (
        select(JobRow, began.c.at)
        .outerjoin(began, began.c.job_id == JobRow.job_id)
        .where(JobRow.state == JobState.RUNNING.value)
    )
    found = [_of_row(job, at) for job, at in session.execute(query).tuples()]
    return tuple(sorted(found, key=lambda job: job.stage_began_at))


def _of_row(job: JobRow, at: datetime | None) -> RunningJob:
    return RunningJob(
        job_id=job.job_id,
        study_instance_uid=job.study_instance_uid,
        bundle=job.bundle,
        stage=job.stage,
        worker=job.lease_owner,
        stage_began_at=at or job.updated_at,
        priority=Priority(job.priority or Priority.ROUTINE),
    )


def _came_to(session: Session, *events: JobEvent, since: datetime) -> int:
    """Count the jobs to which one of these events happened."""
    query = select(func.count(JobEventLine.job_id.distinct())).where(
        JobEventLine.event.in_([event.value for event in events]), JobEventLine.at > since
    )
    return session.scalar(query) or 0


def _sending(session: Session) -> dict[str, PeerSending]:
    sent = select(DeliveryRow.destination, func.max(DeliveryRow.updated_at)).where(
        DeliveryRow.state.in_([state.value for state in IN_PEER])
    )
    rows = session.execute(sent.group_by(DeliveryRow.destination)).tuples()
    last: dict[str, datetime] = dict(rows.all())
    unsent = [DeliveryState.PENDING.value, DeliveryState.FAILED.value]
    failing = (
        select(DeliveryRow.destination, DeliveryRow.error)
        .where(DeliveryRow.state.in_(unsent), DeliveryRow.error != "")
        .order_by(DeliveryRow.updated_at)
    )
    errors: dict[str, str] = dict(session.execute(failing).tuples().all())
    return {
        peer: PeerSending(last_sent_at=last.get(peer), error=errors.get(peer, ""))
        for peer in sorted({*last, *errors})
    }
