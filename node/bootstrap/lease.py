"""Keep a job's lease while its task works."""

import threading
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import OperationalError

from node.jobs.ledger import Ledger

log = structlog.get_logger()


class LeaseLost(Exception):
    """Another process has the job now; this one must stop without a trace."""


class LeaseKeeper:
    """Renews a lease from a thread until the block is left.

    Parameters
    ----------
    ledger : Ledger
    job_id, owner : str
    every_s : float
        A third of the lease or less.
    """

    def __init__(self, ledger: Ledger, job_id: str, owner: str, *, every_s: float) -> None:
        self._ledger = ledger
        self._job_id = job_id
        self._owner = owner
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def enter_stage(self, stage: str) -> None:
        """Record that a stage begins; LeaseLost when the job is no longer ours."""
        if not self._ledger.enter_stage(self._job_id, self._owner, stage):
            raise LeaseLost(self._job_id)

    def _keep(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                held = self._ledger.renew(self._job_id, self._owner)
            except OperationalError:  # the database is away for a moment; the next turn tries again
                log.warning("lease.not_renewed", job_id=self._job_id)
                continue
            if not held:
                log.warning("lease.lost", job_id=self._job_id)
                return
