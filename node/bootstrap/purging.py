"""Remove what came to rest long ago."""

import shutil
from datetime import datetime

import structlog

from node.bootstrap.parts import Parts
from node.jobs.state import JobState

log = structlog.get_logger()

PURGED = frozenset({JobState.DELIVERED, JobState.REJECTED, JobState.CANCELLED})
"""Failed jobs are kept until a person retries or cancels them: their results are undelivered."""


def purge(parts: Parts, before: datetime) -> int:
    """Remove finished jobs and, where nothing else needs them, their studies.

    Returns
    -------
    int
        Jobs removed.
    """
    count = 0
    for job in parts.ledger.finished_before(before):
        if job.state not in PURGED:
            continue
        shutil.rmtree(parts.spool.results_dir(job.job_id), ignore_errors=True)
        parts.ledger.forget(job.job_id)
        study = job.study_instance_uid
        if not parts.ledger.list(study=study, limit=1) and _is_older(parts, study, before):
            parts.store.forget_study(study)  # first: an object without a row is recorded anew
            parts.spool.remove_study(study)
        log.info("job.purged", **job.log_context())
        count += 1
    return count


def _is_older(parts: Parts, study_instance_uid: str, before: datetime) -> bool:
    try:
        return parts.store.last_received(study_instance_uid) < before
    except KeyError:
        return False
