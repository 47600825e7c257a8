"""The table that turns an error of a task into what happens to its job."""

import os
from pathlib import Path
from traceback import extract_tb

from sqlalchemy.exc import OperationalError

from node.domain.errors import InputRejected, SetupFault, TryLater
from node.jobs.job import Job
from node.jobs.ledger import Ledger
from node.jobs.state import JobEvent
from node.storage.spool import NO_SPACE

PACKAGE_DIR = Path(__file__).resolve().parents[1]

EVENT_OF_ERROR: tuple[tuple[type[BaseException], JobEvent], ...] = (
    (InputRejected, JobEvent.REJECT),
    (TryLater, JobEvent.POSTPONE),
    (SetupFault, JobEvent.GIVE_UP),
    (OperationalError, JobEvent.POSTPONE),  # the database is locked, full or away
    (BaseException, JobEvent.TRY_AGAIN),  # a bug; GIVE_UP after the last attempt
)
"""The first class that fits decides; but an ``OSError`` for want of space is a ``TryLater``."""


def event_of(error: BaseException) -> JobEvent:
    """Return what an error does to the job whose task raised it."""
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return JobEvent.POSTPONE
    return next(event for kind, event in EVENT_OF_ERROR if isinstance(error, kind))


def record_failure(ledger: Ledger, job_id: str, owner: str, error: BaseException) -> Job:
    """Write an error of a task into the ledger, as the table says.

    Parameters
    ----------
    ledger : Ledger
    job_id : str
    owner : str
        The claim under which the task ran; nothing happens when it lost the lease.
    error : BaseException
        Errors of the domain tell their message; of others only type and place are kept, since
        their text may quote a data set.
    """
    event = event_of(error)
    if isinstance(error, InputRejected):
        return ledger.reject(job_id, owner, problems=error.problems)
    if event is JobEvent.POSTPONE:
        return ledger.postpone(job_id, owner, error=_describe_lack(error))
    if event is JobEvent.GIVE_UP:
        return ledger.fail(job_id, owner, error=str(error), retry=False)
    return ledger.fail(job_id, owner, error=describe_bug(error), retry=True)


def _describe_lack(error: BaseException) -> str:
    """Return what is missing for now; the system's own words for it name no file."""
    if isinstance(error, TryLater):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        return f"{os.strerror(error.errno)}: {describe_bug(error)}"
    return f"the database cannot be written: {describe_bug(error)}"


def describe_bug(error: BaseException) -> str:
    """Return type and place of an error without its text."""
    frames = extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PACKAGE_DIR in Path(frame.filename).parents] or frames
    if not ours:
        return type(error).__name__
    path = Path(ours[-1].filename)
    place = path.relative_to(PACKAGE_DIR) if PACKAGE_DIR in path.parents else path.name
    return f"{type(error).__name__} at {place}:{ours[-1].lineno}"
