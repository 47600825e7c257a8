"""Keep Dask from opening pages, writing files and talking over our log."""

import logging

import dask

SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": False,
    "distributed.comm.timeouts.connect": "5s",
}
"""No web routes, no profiler threads; an unreachable scheduler is noticed soon."""


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
