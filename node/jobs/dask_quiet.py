"""Keep Dask from opening pages, writing files, talking over our log and remembering every job."""

import logging
from collections.abc import Mapping

import dask

SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": "5s",
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 100,
    "distributed.diagnostics.computations.max-history": 10,
    "distributed.diagnostics.erred-tasks.max-history": 10,
}
"""No web routes, no profiler threads; an unreachable scheduler is noticed soon.

Of past jobs Dask keeps little: our ledger has their history, and nobody looks into Dask's.
"""

UNBOUNDED = frozenset({"spans"})
"""Extensions of scheduler and workers that keep figures of every task there ever was."""


def quieten_dask() -> None:
    """Apply the settings and route Dask's warnings through our own log handlers."""
    import distributed  # noqa: F401 - its import sets up the logging that is undone below

    dask.config.set(SETTINGS)
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("distributed", "tornado", "asyncio"):
            logger = logging.getLogger(name)
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)
    logging.getLogger("distributed").setLevel(logging.WARNING)
    # What these say at a lost connection our own log tells in one line.
    for name in ("distributed.client", "distributed.worker", "distributed.core", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def without_unbounded(extensions: Mapping[str, type]) -> dict[str, type]:
    """Leave out of Dask's extensions those that grow for as long as a process lives."""
    return {name: each for name, each in extensions.items() if name not in UNBOUNDED}
