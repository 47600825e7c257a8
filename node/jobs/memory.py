"""Memory of the workers: who is let in, who waits, and who can never be let in.

Jobs are let in by the order of the queue, and one that does not fit holds up those behind it: else
small ones would overtake it for ever. Nothing can lock up, since what does not fit now fits alone,
and what does not fit alone is given up at once.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.domain.errors import Problem
from node.jobs.dask_quiet import quieten_dask
from node.jobs.state import JobState
from node.storage.tables import JobRow

SHARE = 0.75
"""Of the machine's memory, for the jobs: the rest is for the other processes and the files."""
WAITS = "waits for memory"
"""Beginning of the error of a job that is due and not let in."""
MB = 2**20


@dataclass(frozen=True, kw_only=True)
class Room:
    """How a job fits beside those that run.

    Parameters
    ----------
    needed_bytes, taken_bytes : int
    limit_bytes : int or None
        None: there is no limit.
    """

    needed_bytes: int
    taken_bytes: int
    limit_bytes: int | None

    @property
    def is_enough(self) -> bool:
        """Whether the job may run now."""
        return self.limit_bytes is None or self.taken_bytes + self.needed_bytes <= self.limit_bytes

    @property
    def is_hopeless(self) -> bool:
        """Whether the job would not fit even alone."""
        return self.limit_bytes is not None and self.needed_bytes > self.limit_bytes

    def tell(self) -> str:
        """Say why a job waits; the same as long as it waits for the same."""
        return f"{WAITS}: needs {_mb(self.needed_bytes)} of {_mb(self.limit_bytes or 0)}"

    def problem(self, study_instance_uid: str) -> Problem:
        """Say why a job can never run."""
        return Problem(
            code="needs-more-memory",
            uid=study_instance_uid,
            found=f"a volume that needs about {_mb(self.needed_bytes)}",
            expected=f"at most {_mb(self.limit_bytes or 0)}, which the jobs may take together",
            remedy="raise jobs.memory_limit_mb or give the machine more memory, start the node "
            "again, then `onconode jobs retry`",
        )


def find_room(session: Session, row: JobRow, owner: str, limit_bytes: int | None) -> Room:
    """Compare what a job needs with what the running jobs of a dispatcher have left.

    Parameters
    ----------
    session : Session
    row : JobRow
    owner : str
        Token of the claim: all claims of a dispatcher begin alike, up to the last ``/``.
    limit_bytes : int or None
    """
    taken = 0
    if limit_bytes is not None:
        prefix = owner[: owner.rfind("/") + 1]
        query = select(func.coalesce(func.sum(JobRow.memory_bytes), 0)).where(
            JobRow.state == JobState.RUNNING.value,
            JobRow.lease_owner.startswith(prefix, autoescape=True),
        )
        taken = int(session.scalar(query) or 0)
    return Room(needed_bytes=row.memory_bytes or 0, taken_bytes=taken, limit_bytes=limit_bytes)


def memory_limit_bytes(memory_limit_mb: int, *, has_own_workers: bool) -> int | None:
    """Return what the running jobs may take together.

    Parameters
    ----------
    memory_limit_mb : int
        0: a share of the memory of this machine, or of its container, where the workers are here.
    has_own_workers : bool
        Whether they are; of the machines of another cluster nothing is known.
    """
    if memory_limit_mb:
        return memory_limit_mb * MB
    if not has_own_workers:
        return None
    quieten_dask()
    from distributed.system import memory_limit  # it knows of cgroups and rlimits

    return int(SHARE * memory_limit())


def _mb(count: int) -> str:
    return f"{count / MB:.0f} MB"
