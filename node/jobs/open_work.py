"""Which files a copy of the ledger needs so that open work can go on, and what to do without.

Used by backup and restore. A backup without those files is smaller and holds no images; work
that needed them is then forgotten, so that it begins anew when its study is sent again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, delete, exists, select
from sqlalchemy.orm import Session

from node.jobs.job import CommitmentState, DeliveryState
from node.jobs.state import JobState
from node.storage.database import writing
from node.storage.tables import (
    CommitmentItemRow,
    CommitmentRow,
    DeliveryRow,
    InstanceRow,
    JobDeliveryRow,
    JobEventLine,
    JobRow,
    StudyRow,
)

TO_PROCESS = (JobState.QUEUED.value, JobState.RUNNING.value)
"""Jobs that need what was received."""
TO_SEND = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)
"""Deliveries that need their file; a person may have the failed ones sent again."""


@dataclass(frozen=True, kw_only=True)
class OpenFile:
    """A file that open work needs.

    Parameters
    ----------
    path : Path
    study_instance_uid, sop_class_uid : str
    """

    path: Path
    study_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, kw_only=True)
class OpenWork:
    """What is not finished; each file stands once.

    Parameters
    ----------
    objects : tuple of OpenFile
        Received objects of studies that wait for a job, or whose job is not done or failed.
    results : tuple of OpenFile
        Objects that a destination has not taken, or may yet prove to have lost.
    """

    objects: tuple[OpenFile, ...]
    results: tuple[OpenFile, ...]


def find_open_work(session: Session) -> OpenWork:
    """Return the files of all that is not finished, as one transaction sees it."""
    unfinished = exists().where(
        JobRow.study_instance_uid == StudyRow.study_instance_uid,
        JobRow.state.in_([*TO_PROCESS, JobState.FAILED.value]),
    )
    objects = (
        select(InstanceRow.path, InstanceRow.study_instance_uid, InstanceRow.sop_class_uid)
        .join(StudyRow, StudyRow.study_instance_uid == InstanceRow.study_instance_uid)
        .where(StudyRow.assembled_digest.is_(None) | unfinished)
    )
    results = (
        select(DeliveryRow.path, JobRow.study_instance_uid, DeliveryRow.sop_class_uid)
        .join(JobRow, JobRow.job_id == DeliveryRow.job_id)
        .where(DeliveryRow.state.in_(TO_SEND) | _may_be_lost())
    )
    return OpenWork(objects=_files(session, objects), results=_files(session, results))


def _files(session: Session, query: Select[str, str, str]) -> tuple[OpenFile, ...]:
    by_path = {path: (path, study, sop_class) for path, study, sop_class in session.execute(query)}
    return tuple(
        OpenFile(path=Path(path), study_instance_uid=study, sop_class_uid=sop_class)
        for path, study, sop_class in sorted(by_path.values())
    )


def forget_missing_files(engine: Engine) -> tuple[str, ...]:
    """Forget objects whose files are not there, and unfinished jobs that cannot go on without.

    An object without a file would else be taken for a duplicate when it is sent again, and a job
    for one that is known. What came to rest stays in the ledger.

    Returns
    -------
    tuple of str
        Study Instance UIDs of what must be sent again.
    """
    with writing(engine) as session:
        again = _forget_jobs(session)
        rows = session.execute(select(InstanceRow.instance_id, InstanceRow.path)).all()
        gone = [number for number, path in rows if not Path(path).is_file()]
        dirty = select(StudyRow.study_instance_uid).where(StudyRow.assembled_digest.is_(None))
        waiting = set(session.scalars(dirty))
        for number in gone:
            row = session.get_one(InstanceRow, number)
            if row.study_instance_uid in waiting:
                again.add(row.study_instance_uid)
            session.delete(row)
        session.flush()
        again -= _assemble_anew(session, again)
        empty = ~exists().where(InstanceRow.study_instance_uid == StudyRow.study_instance_uid)
        session.execute(delete(StudyRow).where(empty))
        return tuple(sorted(again))


def _forget_jobs(session: Session) -> set[str]:
    """Remove the unfinished jobs that lack a file; return their studies."""
    states = [*TO_PROCESS, JobState.SENDING.value]
    again = set()
    for job in session.scalars(select(JobRow).where(JobRow.state.in_(states))):
        needed = (
            select(InstanceRow.path).where(
                InstanceRow.study_instance_uid == job.study_instance_uid,
                InstanceRow.series_instance_uid.in_(job.series_instance_uids),
            )
            if job.state in TO_PROCESS
            else select(DeliveryRow.path).where(
                DeliveryRow.delivery_id.in_(_deliveries_of(job.job_id)),
                DeliveryRow.state == DeliveryState.PENDING.value,
            )
        )
        paths = session.scalars(needed).all()
        if paths and all(Path(path).is_file() for path in paths):
            continue
        again.add(job.study_instance_uid)
        _forget(session, job.job_id)
    return again


def _assemble_anew(session: Session, studies: set[str]) -> set[str]:
    """Mark those studies dirty of which objects are left, and return them."""
    left = exists().where(InstanceRow.study_instance_uid == StudyRow.study_instance_uid)
    query = select(StudyRow).where(StudyRow.study_instance_uid.in_(studies), left)
    rows = session.scalars(query).all()
    for row in rows:
        row.assembled_digest = None
    return {row.study_instance_uid for row in rows}


def _forget(session: Session, job_id: str) -> None:
    """Remove a job, its history, and the deliveries that no other job waits for."""
    ids = session.scalars(_deliveries_of(job_id)).all()
    for table in (JobEventLine, JobDeliveryRow):
        session.execute(delete(table).where(table.job_id == job_id))
    shared = select(JobDeliveryRow.delivery_id, JobDeliveryRow.job_id)
    heirs = dict(session.execute(shared.where(JobDeliveryRow.delivery_id.in_(ids))).tuples().all())
    own = select(DeliveryRow).where(
        (DeliveryRow.job_id == job_id) | DeliveryRow.delivery_id.in_(ids)
    )
    for row in session.scalars(own).all():
        if row.delivery_id in heirs:
            row.job_id = heirs[row.delivery_id]
        else:
            for proof in (CommitmentItemRow, CommitmentRow):
                session.execute(delete(proof).where(proof.delivery_id == row.delivery_id))
            session.delete(row)
    session.flush()
    session.execute(delete(JobRow).where(JobRow.job_id == job_id))


def _deliveries_of(job_id: str) -> Any:
    return select(JobDeliveryRow.delivery_id).where(JobDeliveryRow.job_id == job_id)


def _may_be_lost() -> ColumnElement[bool]:
    return exists().where(
        CommitmentRow.delivery_id == DeliveryRow.delivery_id,
        CommitmentRow.state != CommitmentState.CLOSED.value,
    )
