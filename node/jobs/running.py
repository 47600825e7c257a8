"""Jobs in the engine, as the dispatcher sees them: claim, submit, watch."""

import time
from dataclasses import dataclass
from uuid import uuid4

import structlog

from node.domain.errors import TryLater
from node.jobs.engine import Engine, Execution, Progress
from node.jobs.job import Job
from node.jobs.ledger import Ledger

log = structlog.get_logger()

WORKER_DIED = "KilledWorker"
"""What an engine tells of all tasks that a dead worker held, see ``Execution.error``."""


@dataclass(frozen=True, kw_only=True)
class _InFlight:
    job_id: str
    token: str
    execution: Execution
    submitted_at_s: float


class RunningJobs:
    """Claimed jobs and their executions.

    The task itself renews its lease and concludes its job. This class renews only what waits in
    the engine, and speaks for tasks that can no longer speak.

    Parameters
    ----------
    ledger : Ledger
    engine : Engine
    owner : str
        Beginning of the token of each claim.
    maximum : int
        Jobs in flight at a time; the engine's capacity may allow fewer.
    start_limit_s : float
        How long a job may wait in the engine before it is put back.
    memory_limit_bytes : int, optional
        What the jobs in flight may need together.
    """

    def __init__(
        self,
        ledger: Ledger,
        engine: Engine,
        *,
        owner: str,
        maximum: int,
        start_limit_s: float = 600.0,
        memory_limit_bytes: int | None = None,
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._owner = owner
        self._maximum = maximum
        self._start_limit_s = start_limit_s
        self._memory_limit_bytes = memory_limit_bytes
        self._in_flight: list[_InFlight] = []

    def tick(self) -> None:
        """Look after what is in flight, then claim and submit as much as the engine can take."""
        self._in_flight = [flight for flight in self._in_flight if self._watch(flight)]
        self._fill()

    def renew_waiting(self) -> None:
        """Prolong the leases of jobs that no worker has begun."""
        for flight in list(self._in_flight):
            job = self._find(flight)
            if job is not None and job.lease_owner == flight.token and not job.stage:
                self._ledger.renew(flight.job_id, flight.token)

    def release_waiting(self) -> int:
        """Put back what earlier claims of this owner left in an engine that forgot it."""
        return self._ledger.release_leases(f"{self._owner}/", only_unstarted=True)

    def _fill(self) -> None:
        free = self._maximum - len(self._in_flight)
        if free > 0:
            free = min(free, self._engine.capacity() - len(self._in_flight))
        for _ in range(free):
            token = f"{self._owner}/{uuid4().hex}"
            job = self._ledger.claim(token, memory_limit_bytes=self._memory_limit_bytes)
            if job is None:
                return
            try:
                execution = self._engine.submit(job.job_id, token)
            except TryLater as error:
                self._ledger.postpone(job.job_id, token, error=str(error))
                return
            log.info("job.submitted", **job.log_context())
            flight = _InFlight(
                job_id=job.job_id,
                token=token,
                execution=execution,
                submitted_at_s=time.monotonic(),
            )
            self._in_flight.append(flight)

    def _find(self, flight: _InFlight) -> Job | None:
        try:
            return self._ledger.get(flight.job_id)
        except KeyError:
            return None

    def _watch(self, flight: _InFlight) -> bool:
        """Look after one job; tell whether it is still in flight."""
        # In this order: a task writes its verdict and then ends. Asked the other way round, one
        # that ends in between would look as if it had ended without.
        progress = flight.execution.progress()
        job = self._find(flight)
        # concluded, and removed since, or cancelled, or handed to another
        if job is None or job.lease_owner != flight.token:
            flight.execution.cancel()
            return False
        if progress is Progress.LOST:
            # Its worker may live on and finish; then it renews the lease. If not, it lapses.
            log.warning("job.lost_by_engine", **job.log_context())
            self._ledger.release_leases(flight.token, only_unstarted=True)
            return False
        if progress is Progress.PENDING:
            waited_s = time.monotonic() - flight.submitted_at_s
            if job.stage or waited_s < self._start_limit_s:
                return True
            flight.execution.cancel()
            error = f"no worker took the job within {self._start_limit_s:g} s"
            self._ledger.postpone(flight.job_id, flight.token, error=error)
            return False
        failed = progress is Progress.FAILED
        error = flight.execution.error() if failed else "the task ended without a verdict"
        log.error("job.unsettled", **job.log_context(), error=error)
        if error == WORKER_DIED and not job.stage:  # under another task, this one only waited there
            self._ledger.postpone(flight.job_id, flight.token, error="its worker died before it")
            return False
        self._ledger.fail(flight.job_id, flight.token, error=error, retry=True)
        return False
