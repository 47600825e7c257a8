"""The studies that were received, for people who look for one: latest first, a page at a time."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Select, func, select

from node.storage.database import reading
from node.storage.tables import InstanceRow, JobRow, StudyRow


@dataclass(frozen=True, kw_only=True)
class StudyLine:
    """A study of which files are here.

    Parameters
    ----------
    study_instance_uid : str
    first_received_at, last_received_at : datetime
    calling_ae_title : str
        Of the sender of its first object.
    modalities : tuple of str
    objects, series : int
    sample : Path
        One of its objects.
    waits : bool
        It has objects that no job has seen.
    """

    study_instance_uid: str
    first_received_at: datetime
    last_received_at: datetime
    calling_ae_title: str
    modalities: tuple[str, ...]
    objects: int
    series: int
    sample: Path
    waits: bool


def list_studies(
    engine: Engine,
    *,
    uid: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
    job_state: str = "",
    limit: int = 50,
    offset: int = 0,
) -> list[StudyLine]:
    """Return the studies of the node, the latest received first.

    Parameters
    ----------
    engine : Engine
    uid : str
        Study Instance UID, or any part of it.
    since, before : datetime, optional
        Bounds of the last receipt; ``before`` is not included.
    job_state : str
        Only studies with a job in this state.
    limit, offset : int
    """
    query: Select[Any] = select(StudyRow)
    if uid:
        query = query.where(StudyRow.study_instance_uid.contains(uid, autoescape=True))
    if since is not None:
        query = query.where(StudyRow.last_received_at >= since)
    if before is not None:
        query = query.where(StudyRow.last_received_at < before)
    if job_state:
        of_state = select(JobRow.study_instance_uid).where(JobRow.state == job_state)
        query = query.where(StudyRow.study_instance_uid.in_(of_state))
    ordered = query.order_by(StudyRow.last_received_at.desc(), StudyRow.study_instance_uid)
    return _lines_of(engine, ordered.limit(limit).offset(offset))


def find_study(engine: Engine, study_instance_uid: str) -> StudyLine | None:
    """Return the study of a UID; None if no file of it is here."""
    query = select(StudyRow).where(StudyRow.study_instance_uid == study_instance_uid)
    return next(iter(_lines_of(engine, query)), None)


def _lines_of(engine: Engine, query: Select[Any]) -> list[StudyLine]:
    with reading(engine) as session:
        rows = session.scalars(query).all()
        uids = [row.study_instance_uid for row in rows]
        series: dict[str, list[Any]] = {each: [] for each in uids}
        grouped = (
            select(
                InstanceRow.study_instance_uid,
                InstanceRow.modality,
                func.count(),
                func.min(InstanceRow.instance_id),
            )
            .where(InstanceRow.study_instance_uid.in_(uids))
            .group_by(
                InstanceRow.study_instance_uid,
                InstanceRow.series_instance_uid,
                InstanceRow.modality,
            )
        )
        for study, *values in session.execute(grouped):
            series[study].append(values)
        first = [min(each[-1] for each in of_study) for of_study in series.values() if of_study]
        samples = {
            row.study_instance_uid: row
            for row in session.scalars(
                select(InstanceRow).where(InstanceRow.instance_id.in_(first))
            )
        }
        return [
            StudyLine(
                study_instance_uid=row.study_instance_uid,
                first_received_at=samples[row.study_instance_uid].received_at,
                last_received_at=row.last_received_at,
                calling_ae_title=samples[row.study_instance_uid].calling_ae_title,
                modalities=tuple(sorted({each[0] for each in series[row.study_instance_uid]})),
                objects=sum(each[1] for each in series[row.study_instance_uid]),
                series=len(series[row.study_instance_uid]),
                sample=Path(samples[row.study_instance_uid].path),
                waits=row.assembled_digest is None,
            )
            for row in rows
            if row.study_instance_uid in samples
        ]
