"""Clocks of a process: call things again and again, whatever one of the calls does."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from node.domain.errors import OncoNodeError, TryLater
from node.jobs.failure import describe_bug

log = structlog.get_logger()


class Clocks:
    """Named calls at fixed intervals, none of them twice at a time.

    Parameters
    ----------
    threads : int
        How many calls may be under way together.
    """

    def __init__(self, *, threads: int = 8) -> None:
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns when a call is slow
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(threads)},
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
            timezone=UTC,
        )

    def add(self, name: str, call: Callable[[], object], *, every_s: float) -> None:
        """Call something now and then at an interval, once the clocks run."""
        self._scheduler.add_job(
            survive,
            "interval",
            args=(name, call),
            seconds=every_s,
            id=name,
            next_run_time=datetime.now(UTC),
        )

    def start(self) -> None:
        """Let the clocks run."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop them and wait for the calls under way."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=True)


def survive(name: str, call: Callable[[], object]) -> None:
    """Call something and log what it raises: the clock must go on.

    The text of a bug is left out, it may quote a data set.
    """
    try:
        call()
    except TryLater as error:
        log.warning("clock.postponed", clock=name, reason=str(error))
    except OncoNodeError as error:
        log.error("clock.refused", clock=name, reason=str(error))
    except Exception as error:  # noqa: BLE001 - a process boundary: the next tick tries again
        log.error("clock.failed", clock=name, error=describe_bug(error))
