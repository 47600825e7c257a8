"""Where claimed jobs run.

An engine forgets: whatever it loses, the ledger knows, and the lease decides.
"""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import structlog

from node.domain.errors import TryLater
from node.jobs.dask_nodes import resolve_address
from node.jobs.dask_quiet import quieten_dask

log = structlog.get_logger()

Task = Callable[[str, str], None]
"""Takes job_id and owner (the token of the claim); must be importable where workers run."""


class Progress(StrEnum):
    """How far an execution is."""

    PENDING = "pending"  # waits or runs
    ENDED = "ended"  # the task returned
    FAILED = "failed"  # the task raised, or its worker died under it
    LOST = "lost"  # the engine no longer knows; the worker may live on


class Execution(Protocol):
    """One job in an engine."""

    def progress(self) -> Progress:
        """Return how far it is; never blocks."""
        ...

    def error(self) -> str:
        """Return type of the error of a failed one, never its text."""
        ...

    def cancel(self) -> None:
        """Forget it; a task that already runs is not interrupted."""
        ...


class Engine(Protocol):
    """Runs tasks elsewhere."""

    def capacity(self) -> int:
        """Return how many tasks can run at once now; 0 when the engine is away."""
        ...

    def submit(self, job_id: str, owner: str) -> Execution:
        """Start the task of a claimed job.

        Raises
        ------
        TryLater
            The engine is away.
        """
        ...

    def close(self) -> None:
        """Let go of the engine and of what has not started."""
        ...


class DaskEngine:
    """A Dask cluster, embedded or existing.

    Parameters
    ----------
    scheduler_address : str or Path
        The address, or the file in which the embedded scheduler keeps it.
    task : callable
        A function of a module that the workers can import.
    timeout_s : float
        For connecting and for questions to the scheduler.
    """

    def __init__(
        self, scheduler_address: str | Path, task: Task, *, timeout_s: float = 5.0
    ) -> None:
        self._source = scheduler_address
        self._task = task
        self._timeout_s = timeout_s
        self._client: Any = None
        self._reason_away = ""

    def capacity(self) -> int:
        """Return the number of worker threads of the cluster; 0 when it cannot be reached."""
        try:
            client = self._connected()
            threads = client.sync(
                client.scheduler.ncores, workers=None, callback_timeout=self._timeout_s
            )
        except (TryLater, OSError, TimeoutError, ValueError) as error:
            self._tell_away(str(error) or type(error).__name__)
            return 0
        self._reason_away = ""
        return sum(threads.values())

    def submit(self, job_id: str, owner: str) -> "DaskExecution":
        """Start the task of a claimed job; TryLater when the scheduler is away."""
        client = self._connected()
        future = client.submit(
            self._task, job_id, owner, key=f"job-{job_id}-{owner}", pure=False, retries=0
        )
        return DaskExecution(future)

    def close(self) -> None:
        """Disconnect; tasks that have not started are forgotten."""
        client, self._client = self._client, None
        if client is not None:
            client.close(timeout=self._timeout_s)

    def _tell_away(self, reason: str) -> None:
        """Log why the engine is away, once for each reason."""
        if reason != self._reason_away:
            log.warning("engine.away", reason=reason)
        self._reason_away = reason

    def _connected(self) -> Any:
        """Return a live client, made anew after the scheduler was lost for long."""
        if self._client is not None and self._client.status == "running":
            return self._client
        if self._client is not None and self._client.status == "connecting":
            raise TryLater("the Dask scheduler is lost, its client reconnects")
        quieten_dask()
        from distributed import Client

        self.close()
        address = resolve_address(self._source)
        try:
            make: Callable[..., Any] = Client  # it is untyped
            self._client = make(address, timeout=self._timeout_s, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise TryLater(f"the Dask scheduler at {address} does not answer") from error
        log.info("engine.connected", address=address)
        return self._client


class DaskExecution:
    """A future of Dask."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def progress(self) -> Progress:
        """Return how far it is; never blocks."""
        match self._future.status:
            case "finished":
                return Progress.ENDED
            case "error":
                return Progress.FAILED
            case "pending":
                return Progress.PENDING
        return Progress.LOST

    def error(self) -> str:
        """Return the type of the error, ``KilledWorker`` when the worker died."""
        return type(self._future.exception(timeout=1)).__name__

    def cancel(self) -> None:
        """Forget it."""
        self._future.release()
