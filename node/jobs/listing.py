"""Jobs and deliveries page by page, for people and programs that look for one."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, func, select

from node.jobs.job import Delivery, DeliveryState, Job
from node.jobs.rows import delivery_of, job_of
from node.jobs.state import JobState
from node.storage.database import reading
from node.storage.tables import CommitmentRow, DeliveryRow, JobRow


@dataclass(frozen=True, kw_only=True)
class JobSearch:
    """What is looked for; empty keys match all.

    Parameters
    ----------
    state : JobState, optional
    text : str
        Part of a Study Instance UID, or the beginning of a job's id.
    bundle, sender : str
        Name of the bundle as the rule has it; calling AE title.
    """

    state: JobState | None = None
    text: str = ""
    bundle: str = ""
    sender: str = ""

    def _conditions(self) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if self.state is not None:
            found.append(JobRow.state == self.state.value)
        if self.text:
            found.append(
                JobRow.study_instance_uid.contains(self.text, autoescape=True)
                | JobRow.job_id.startswith(self.text, autoescape=True)
            )
        if self.bundle:
            found.append(JobRow.bundle == self.bundle)
        if self.sender:
            found.append(JobRow.calling_ae_title == self.sender)
        return found

    def narrow(self, query: Select[Any]) -> Select[Any]:
        """Return a query for what matches only."""
        return query.where(*self._conditions())


def search_jobs(
    engine: Engine, search: JobSearch, *, limit: int = 50, offset: int = 0
) -> tuple[tuple[Job, ...], int]:
    """Return a page of the jobs that match, the latest first, and how many match in all."""
    query = search.narrow(select(JobRow)).order_by(JobRow.created_at.desc(), JobRow.job_id)
    with reading(engine) as session:
        rows = session.scalars(query.limit(limit).offset(offset))
        jobs = tuple(job_of(row) for row in rows)
        total = session.scalar(search.narrow(select(func.count()).select_from(JobRow))) or 0
    return jobs, total


def search_deliveries(
    engine: Engine,
    *,
    state: DeliveryState | None = None,
    peer: str = "",
    limit: int = 50,
    offset: int = 0,
) -> tuple[tuple[Delivery, ...], int]:
    """Return a page of the deliveries of a state and to a peer, and how many there are in all."""
    conditions: list[ColumnElement[bool]] = []
    if state is not None:
        conditions.append(DeliveryRow.state == state.value)
    if peer:
        conditions.append(DeliveryRow.destination == peer)
    query = (
        select(DeliveryRow, CommitmentRow)
        .outerjoin(CommitmentRow, CommitmentRow.delivery_id == DeliveryRow.delivery_id)
        .where(*conditions)
        .order_by(DeliveryRow.delivery_id.desc())
    )
    with reading(engine) as session:
        rows = session.execute(query.limit(limit).offset(offset)).tuples()
        found = tuple(delivery_of(row, proof) for row, proof in rows)
        count = select(func.count()).select_from(DeliveryRow).where(*conditions)
        total = session.scalar(count) or 0
    return found, total
