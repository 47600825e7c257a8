"""Dask's own processes keep nothing of the jobs that are done, however long they live."""

import asyncio
import gc
from collections import Counter
from pathlib import Path

from distributed import Client, Scheduler, Worker

from node.jobs import dask_nodes
from node.jobs.dask_quiet import quieten_dask

SETTLED = 120
"""Jobs after which every log with a bound of its own is full."""
MORE = 60


def do_nothing(number: int) -> None:
    """Stands for a job."""


def kept_of_dask() -> Counter[str]:
    """Objects of Dask's classes that are alive, by class."""
    gc.collect()
    classes = (type(each) for each in gc.get_objects())
    return Counter(
        f"{each.__module__}.{each.__qualname__}"
        for each in classes
        if str(each.__module__).startswith("distributed.")
    )


def lengths_of(server: Scheduler | Worker) -> dict[str, int]:
    """How many figures a process keeps by name."""
    return {
        name: len(getattr(server, name)) for name in ("digests_total", "digests_max", "counters")
    }


async def run_jobs(client: Client, scheduler: Scheduler, worker: Worker, numbers: range) -> None:
    """Run one after the other, each when both have forgotten the last, as with one worker."""
    for number in numbers:
        future = client.submit(do_nothing, number, key=f"job-{number}", pure=False)
        await future
        future.release()
        while scheduler.tasks or worker.state.tasks:
            await asyncio.sleep(0.001)
    await worker.heartbeat()  # the scheduler hears of what was measured


async def live(folder: Path) -> None:
    quieten_dask()
    scheduler = await dask_nodes._open_scheduler(dask_nodes.LOOPBACK, 0)
    loop = dask_nodes._WorkerLoop(scheduler.address, folder, "worker", 1, dask_nodes.LOOPBACK)
    worker = loop._make_worker()
    assert worker is not None
    async with worker, Client(scheduler.address, asynchronous=True, set_as_default=False) as client:
        await run_jobs(client, scheduler, worker, range(SETTLED))
        early = kept_of_dask(), lengths_of(worker), lengths_of(scheduler)
        await run_jobs(client, scheduler, worker, range(SETTLED, SETTLED + MORE))
        late = kept_of_dask(), lengths_of(worker), lengths_of(scheduler)
    await scheduler.close()
    grown = {name: count for name, count in (late[0] - early[0]).items() if count >= MORE // 10}
    assert grown == {}
    assert late[1:] == early[1:]


def test_scheduler_and_worker_keep_nothing_of_jobs_that_are_done(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(live(tmp_path), 60))
