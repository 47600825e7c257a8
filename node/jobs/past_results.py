"""Which finished jobs may hold an earlier result of a kind of model."""

from dataclasses import dataclass

from sqlalchemy import Engine, select

from node.jobs.state import JobState
from node.storage.database import reading
from node.storage.tables import JobRow

WITH_RESULT = (JobState.SENDING, JobState.DELIVERED)
MOST_JOBS = 5000
"""The latest so many are looked at: files of older ones were purged long ago."""


@dataclass(frozen=True, kw_only=True)
class PastResult:
    """A job that has made its report.

    Parameters
    ----------
    job_id, study_instance_uid : str
    """

    job_id: str
    study_instance_uid: str


def past_results(engine: Engine, bundle: str, *, other_than_study: str) -> list[PastResult]:
    """Return the jobs of any version of a bundle on other studies, latest first.

    Parameters
    ----------
    engine : Engine
    bundle : str
        Name without version.
    other_than_study : str
        Study Instance UID that is left out.
    """
    query = (
        select(JobRow.job_id, JobRow.study_instance_uid)
        .where(
            JobRow.state.in_([state.value for state in WITH_RESULT]),
            (JobRow.bundle == bundle) | JobRow.bundle.startswith(f"{bundle}/", autoescape=True),
            JobRow.study_instance_uid != other_than_study,
        )
        .order_by(JobRow.created_at.desc(), JobRow.job_id)
        .limit(MOST_JOBS)
    )
    with reading(engine) as session:
        return [
            PastResult(job_id=job_id, study_instance_uid=study)
            for job_id, study in session.execute(query)
        ]
