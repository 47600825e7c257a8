"""The processes of the embedded Dask cluster: one scheduler, and workers that outlive it.

The scheduler keeps its port over restarts in a file, so that workers and the dispatcher find it
again. A worker that lost its scheduler lets its running task end (the ledger takes the result)
and registers anew in the same process: TensorFlow and the models stay loaded.

No Nanny: the node's own supervisor restarts workers, and a Nanny would double the processes.
Dask's connections carry pickled code and have no password: they listen on loopback unless an
operator decides otherwise.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

import structlog

from node.domain.errors import TryLater
from node.durable import make_private_folder
from node.jobs.dask_quiet import quieten_dask, without_unbounded

if TYPE_CHECKING:  # at run time it is imported late: it takes a second and much memory
    from distributed import Scheduler, Worker

log = structlog.get_logger()

LOOPBACK = "127.0.0.1"
CONNECT_S = 10
RETRY_S = 0.5
DRAIN_LOOK_S = 0.05


def resolve_address(source: str | Path) -> str:
    """Return the address of the scheduler.

    Parameters
    ----------
    source : str or Path
        The address itself (an existing cluster), or the file in which the embedded scheduler
        keeps it.

    Raises
    ------
    TryLater
        The file is not there yet.
    """
    if isinstance(source, str):
        return source
    try:
        return source.read_text().strip()
    except FileNotFoundError:
        raise TryLater("the Dask scheduler has not started yet") from None


def run_scheduler(*, address_file: Path, host: str = LOOPBACK) -> None:
    """Run the scheduler until SIGTERM or SIGINT.

    Parameters
    ----------
    address_file : Path
        Holds the address over restarts; rewritten when the port was taken meanwhile.
    host : str
        Address to listen on.
    """
    quieten_dask()
    asyncio.run(_serve_scheduler(address_file, host))


def run_worker(
    *,
    scheduler_address: str | Path,
    local_directory: Path,
    name: str = "worker",
    threads: int = 1,
    warm_up: Callable[[], object] | None = None,
    host: str = LOOPBACK,
    drain_s: float = 25.0,
) -> None:
    """Run a worker until SIGTERM or SIGINT, then let its task end.

    Parameters
    ----------
    scheduler_address : str or Path
        As ``resolve_address`` has it.
    local_directory : Path
        For Dask's scratch files; never the working directory.
    name : str
    threads : int
        Tasks at a time; one, since a task fills the cores by itself.
    warm_up : callable, optional
        Called before the worker offers itself: imports TensorFlow and loads models.
    host : str
        Address to listen on.
    drain_s : float
        How long a running task may take after a signal.
    """
    quieten_dask()
    if warm_up is not None:
        warm_up()
    make_private_folder(local_directory)
    worker = _WorkerLoop(scheduler_address, local_directory, name, threads, host)
    asyncio.run(worker.serve(drain_s))
    log.info("worker.stopped", name=name)


async def _serve_scheduler(address_file: Path, host: str) -> None:
    stopped = _stop_on_signals()
    try:
        scheduler = await _open_scheduler(host, _port_of(address_file))
    except RuntimeError as error:  # Dask's wrapping
        if not isinstance(error.__cause__, OSError):
            raise
        log.warning("scheduler.port_taken", reason=str(error.__cause__))
        scheduler = await _open_scheduler(host, 0)
    make_private_folder(address_file.parent)
    fresh = address_file.with_name(f".{address_file.name}")
    fresh.write_text(f"{scheduler.address}\n")
    fresh.replace(address_file)
    log.info("scheduler.started", address=scheduler.address)
    await stopped.wait()
    await scheduler.close()


async def _open_scheduler(host: str, port: int) -> "Scheduler":
    from distributed import Scheduler
    from distributed.scheduler import DEFAULT_EXTENSIONS

    scheduler = Scheduler(
        host=host,
        port=port,
        dashboard=False,
        dashboard_address=f"{LOOPBACK}:0",
        # A task that killed its worker goes back to the ledger, which counts the attempts.
        allowed_failures=0,
        extensions=without_unbounded(DEFAULT_EXTENSIONS),
    )
    await scheduler
    return scheduler


def _port_of(address_file: Path) -> int:
    try:
        return int(resolve_address(address_file).rpartition(":")[2])
    except (TryLater, ValueError):
        return 0


class _WorkerLoop:
    """Registers one worker after the other, each with the scheduler that is there."""

    def __init__(
        self, source: str | Path, local_directory: Path, name: str, threads: int, host: str
    ) -> None:
        self._source = source
        self._local_directory = local_directory
        self._name = name
        self._threads = threads
        self._host = host

    async def serve(self, drain_s: float) -> None:
        """Serve until a signal, then let the running task end in time."""
        stopped = asyncio.ensure_future(_stop_on_signals().wait())
        while not stopped.done():
            worker = self._make_worker()
            if worker is None or not await self._register(worker, stopped):
                await asyncio.wait([stopped], timeout=RETRY_S)
                continue
            log.info("worker.registered", name=self._name)
            lost = asyncio.ensure_future(_closed(worker))
            await asyncio.wait({stopped, lost}, return_when=asyncio.FIRST_COMPLETED)
            if lost.done():  # it has waited for its task
                log.warning("worker.scheduler_lost", name=self._name)
                continue
            try:
                await asyncio.wait_for(_drain(worker), drain_s)
            except TimeoutError:
                # The task's thread cannot be interrupted, and the interpreter would wait for it;
                # the ledger hands its job on.
                log.warning("worker.not_drained", name=self._name, drain_s=drain_s)
                os._exit(1)

    def _make_worker(self) -> "Worker | None":
        from distributed import Worker
        from distributed.worker import DEFAULT_EXTENSIONS

        try:
            address = resolve_address(self._source)
        except TryLater:
            return None
        return Worker(
            address,
            name=f"{self._name}-{uuid4().hex[:8]}",  # the scheduler may still know the last one
            nthreads=self._threads,
            # Dask's own pool is left behind after 30 s, the standard one is waited for.
            executor=ThreadPoolExecutor(self._threads, thread_name_prefix="task"),
            host=self._host,
            local_directory=str(self._local_directory),
            memory_limit=0,  # a task is one array: pausing or spilling would not help
            dashboard=False,
            dashboard_address=f"{LOOPBACK}:0",
            extensions=without_unbounded(DEFAULT_EXTENSIONS),
        )

    @staticmethod
    async def _register(worker: "Worker", stopped: "asyncio.Future[Literal[True]]") -> bool:
        start = asyncio.ensure_future(_started(worker))
        either: set[asyncio.Future[Any]] = {start, stopped}
        await asyncio.wait(either, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        if start.done() and start.exception() is None:
            return True
        start.cancel()
        with suppress(asyncio.CancelledError, OSError, TimeoutError, ValueError, RuntimeError):
            await start
        with suppress(OSError, RuntimeError):
            await worker.close(timeout=1)
        return False


async def _started(worker: "Worker") -> None:
    await worker


async def _drain(worker: "Worker") -> None:
    """Let the running task end before the scheduler sees us go, or it would blame the task."""
    from distributed.core import Status

    worker.status = Status.paused  # no new tasks
    while worker.state.executing_count:
        await asyncio.sleep(DRAIN_LOOK_S)
    await worker.close()


async def _closed(worker: "Worker") -> None:
    finished: Callable[[], Awaitable[None]] = worker.finished  # it is untyped
    await finished()


def _stop_on_signals() -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
