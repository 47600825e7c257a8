"""Keep a job's lease while its task works, and end a worker that hangs.

A task that hangs in foreign code cannot be interrupted, so its process is ended: the supervisor
starts another worker, and the ledger hands the job on. A thread looks at the time of each stage and
writes the verdict. Code that holds the interpreter's lock stops that thread, too: for that case
``faulthandler`` keeps a timer outside of the interpreter, which the thread winds up at every turn.
"""

import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog
from sqlalchemy.exc import OperationalError

from node.jobs.ledger import Ledger

log = structlog.get_logger()

HUNG_EXIT = 75
"""EX_TEMPFAIL of sysexits.h: another worker may do better."""


class LeaseLost(Exception):
    """Another process has the job now; this one must stop without a trace."""


@dataclass(frozen=True, kw_only=True)
class _StageUnderWay:
    name: str
    limit_s: float
    ends_at_s: float


def end_process() -> None:
    """End this process at once, whatever its threads do; say where they are."""
    faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
    os._exit(HUNG_EXIT)


class LeaseKeeper:
    """Renews a lease from a thread until the block is left.

    Parameters
    ----------
    ledger : Ledger
    job_id, owner : str
    every_s : float
        A third of the lease or less.
    timeouts_s : mapping of str to float, optional
        Stage -> how long it may take; stages that are not named may take for ever.
    silent_s : float, optional
        The process is ended when the thread could not run for so long; None: it never is.
    abandon : callable
        Ends the process.
    """

    def __init__(
        self,
        ledger: Ledger,
        job_id: str,
        owner: str,
        *,
        every_s: float,
        timeouts_s: Mapping[str, float] | None = None,
        silent_s: float | None = None,
        abandon: Callable[[], None] = end_process,
    ) -> None:
        self._ledger = ledger
        self._job_id = job_id
        self._owner = owner
        self._every_s = every_s
        self._timeouts_s = timeouts_s or {}
        self._silent_s = silent_s
        self._abandon = abandon
        self._stage: _StageUnderWay | None = None
        self._stopped = False
        self._wake = threading.Event()
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
        self._stopped = True
        self._wake.set()
        self._thread.join()

    def enter_stage(self, stage: str) -> None:
        """Record that a stage begins; LeaseLost when the job is no longer ours."""
        if not self._ledger.enter_stage(self._job_id, self._owner, stage):
            raise LeaseLost(self._job_id)
        limit_s = self._timeouts_s.get(stage, float("inf"))
        self._stage = _StageUnderWay(
            name=stage, limit_s=limit_s, ends_at_s=time.monotonic() + limit_s
        )
        self._wake.set()

    def _keep(self) -> None:
        is_held = True
        renew_at_s = time.monotonic() + self._every_s
        try:
            while not self._stopped:
                self._wind_up()
                stage = self._stage
                ends_at_s = stage.ends_at_s if stage else float("inf")
                self._wake.wait(max(0.0, min(renew_at_s, ends_at_s) - time.monotonic()))
                self._wake.clear()
                now_s = time.monotonic()
                if stage and stage is self._stage and now_s >= ends_at_s and not self._stopped:
                    self._give_up(stage)
                    return
                if now_s >= renew_at_s:  # also without the lease: the task may hang
                    is_held = is_held and self._renew()
                    renew_at_s = now_s + self._every_s
        finally:
            if self._silent_s is not None:
                faulthandler.cancel_dump_traceback_later()

    def _wind_up(self) -> None:
        if self._silent_s is not None:
            stream = sys.__stderr__ or sys.stderr
            faulthandler.dump_traceback_later(self._silent_s, exit=True, file=stream)

    def _renew(self) -> bool:
        try:
            is_held = self._ledger.renew(self._job_id, self._owner)
        except OperationalError:  # the database is away for a moment; the next turn tries again
            log.warning("lease.not_renewed", job_id=self._job_id)
            return True
        if not is_held:
            log.warning("lease.lost", job_id=self._job_id)
        return is_held

    def _give_up(self, stage: _StageUnderWay) -> None:
        """Write the verdict over a stage that took too long, and end the worker."""
        log.error(
            "job.stage_timed_out", job_id=self._job_id, stage=stage.name, timeout_s=stage.limit_s
        )
        error = (
            f"stage {stage.name} took longer than {stage.limit_s:g} s "
            f"(jobs.{stage.name}_timeout_s); its worker was stopped"
        )
        try:
            self._ledger.fail(self._job_id, self._owner, error=error, retry=True)
        except OperationalError:  # the lease will lapse instead
            log.warning("job.verdict_not_written", job_id=self._job_id)
        self._abandon()
