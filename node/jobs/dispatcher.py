"""The clocks of a node: they turn what is due into work, and look after it."""

import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from node.config.settings import JobSettings
from node.jobs.clocks import Clocks
from node.jobs.engine import Engine
from node.jobs.ledger import Ledger
from node.jobs.memory import memory_limit_bytes
from node.jobs.rounds import DestinationRounds
from node.jobs.running import RunningJobs
from node.jobs.sending import Deliver, SendingBatches
from node.storage.clock import utc_now

log = structlog.get_logger()

MAXIMUM_IN_FLIGHT = 1024
"""Bound for an existing cluster, whose capacity we do not set."""
PURGE_EVERY_S = 3600.0
CHORE_EVERY_S = 30.0
ROUND_EVERY_S = 1.0


class Dispatcher:
    """Clocks for assembling, running, sending, lapsed leases and purging.

    Only one dispatcher of a name may live: at its start it takes back what an earlier process of
    the name had claimed and not begun.

    Parameters
    ----------
    ledger : Ledger
    engine : Engine
        May come and go; work waits in the ledger meanwhile.
    assemble_quiet : callable
        Turns quiet studies into jobs.
    deliver : callable
        Sends a batch for one destination and records the outcomes under ``delivery_owner``.
    settings : JobSettings
    owner : str
        Name of this dispatcher, different on every host that shares a database.
    purge : callable, optional
        Removes files and rows of what came to rest before a moment.
    rounds : sequence of DestinationRounds, optional
        What else is asked of destinations, or told to them.
    chores : mapping of str to callable, optional
        What else is done about twice a minute: the clean-up of the disk.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        engine: Engine,
        assemble_quiet: Callable[[], object],
        deliver: Deliver,
        settings: JobSettings,
        owner: str,
        purge: Callable[[datetime], object] | None = None,
        rounds: Sequence[DestinationRounds] = (),
        chores: Mapping[str, Callable[[], object]] | None = None,
    ) -> None:
        self._ledger = ledger
        self._engine = engine
        self._settings = settings
        self._purge = purge
        self._rounds = tuple(rounds)
        self._stop = threading.Event()
        maximum = MAXIMUM_IN_FLIGHT if settings.scheduler_address else settings.workers
        self._running = RunningJobs(
            ledger,
            engine,
            owner=owner,
            maximum=maximum,
            memory_limit_bytes=memory_limit_bytes(
                settings.memory_limit_mb, has_own_workers=not settings.scheduler_address
            ),
        )
        self._sending = SendingBatches(ledger, deliver, owner=delivery_owner(owner))
        self._clocks = Clocks()
        soon_s = settings.poll_interval_s
        guard_s = min(settings.lease_s / 4, 5.0)
        self._clocks.add("assemble", assemble_quiet, every_s=soon_s)
        self._clocks.add("run", self._running.tick, every_s=soon_s)
        self._clocks.add("send", self._sending.tick, every_s=soon_s)
        self._clocks.add("lapse", self._look_for_lapsed, every_s=guard_s)
        self._clocks.add("renew", self._renew, every_s=guard_s)
        for each in self._rounds:
            self._clocks.add(each.name, each.tick, every_s=max(soon_s, ROUND_EVERY_S))
        for name, chore in (chores or {}).items():
            self._clocks.add(name, chore, every_s=CHORE_EVERY_S)
        if purge is not None:
            self._clocks.add("purge", self._purge_old, every_s=PURGE_EVERY_S)

    def start(self) -> None:
        """Take back what an earlier process left, and let the clocks run."""
        jobs, deliveries = self._running.release_waiting(), self._sending.release()
        log.info("dispatcher.started", jobs_released=jobs, deliveries_released=deliveries)
        self._clocks.start()

    def stop(self, *, timeout_s: float = 20.0) -> None:
        """Stop the clocks, let sendings end, and put back what no worker has begun."""
        self._clocks.stop()
        drained = self._sending.close(timeout_s=timeout_s)
        for each in self._rounds:
            drained &= each.close(timeout_s=timeout_s)
        self._engine.close()
        released = self._running.release_waiting()
        log.info("dispatcher.stopped", drained=drained, jobs_released=released)

    def run(self) -> None:
        """Run until SIGTERM or SIGINT; call it in the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self.start()
        self._stop.wait()
        self.stop()

    def _look_for_lapsed(self) -> None:
        self._ledger.reclaim_lapsed()
        self._ledger.settle_sending()

    def _renew(self) -> None:
        try:
            self._sending.renew()
        finally:
            self._running.renew_waiting()

    def _purge_old(self) -> None:
        assert self._purge is not None, "the clock is only set where there is something to call"
        self._purge(utc_now() - timedelta(days=self._settings.keep_days))


def delivery_owner(owner: str) -> str:
    """Return the name under which a dispatcher claims deliveries."""
    return f"{owner}/outbox"
