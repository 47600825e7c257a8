"""Jobs on a real Dask scheduler and worker, each a process that the tests kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jobs_dask_tasks
import pytest
from factories_ledger import queue_job

from node.config.settings import JobSettings
from node.domain.errors import TryLater
from node.jobs.dispatcher import Dispatcher
from node.jobs.engine import DaskEngine
from node.jobs.job import Job
from node.jobs.state import JobState

WAIT_S = 30.0
PROGRAM = Path(jobs_dask_tasks.__file__)
PYTHON_PATH = os.pathsep.join([str(PROGRAM.parents[2]), str(PROGRAM.parent)])


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {WAIT_S:g} s for {what}"
        time.sleep(0.02)


class Cluster:
    """Scheduler, worker and a dispatcher in this process, on one directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.address_file = home / "run" / "scheduler"
        self.cwd = home / "cwd"
        self.cwd.mkdir()
        self.ledger = jobs_dask_tasks.open_ledger(home)
        self.engine = DaskEngine(self.address_file, jobs_dask_tasks.work, timeout_s=1)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.dispatcher = Dispatcher(
            ledger=self.ledger,
            engine=self.engine,
            assemble_quiet=lambda: None,
            deliver=lambda _: None,
            settings=JobSettings(lease_s=jobs_dask_tasks.LEASE_S, poll_interval_s=0.05),
            owner="test",
        )

    def start(self, role: str) -> None:
        environment = os.environ | {"PYTHONPATH": PYTHON_PATH}
        argv = [sys.executable, str(PROGRAM), role, str(self.home)]
        self.processes[role] = subprocess.Popen(argv, cwd=self.cwd, env=environment)

    def kill(self, role: str) -> None:
        self.processes[role].kill()
        self.processes[role].wait()

    def add_job(self, number: int) -> Job:
        return queue_job(self.ledger, f"1.{number}")

    def wait_begun(self, job: Job) -> None:
        wait_for((self.home / f"{job.job_id}.begun").exists, "the task to begin")

    def wait_delivered(self, job: Job) -> Job:
        wait_for(lambda: self.ledger.get(job.job_id).state is JobState.DELIVERED, "the job's end")
        return self.ledger.get(job.job_id)

    def let_go(self) -> None:
        (self.home / "go").touch()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    made.start("scheduler")
    made.start("worker")
    made.dispatcher.start()
    yield made
    made.dispatcher.stop()
    for process in made.processes.values():
        process.kill()
        process.wait()


def test_jobs_run_on_a_warm_worker_and_leave_the_working_directory_clean(cluster: Cluster) -> None:
    jobs = [cluster.add_job(number) for number in range(3)]
    cluster.let_go()
    for job in jobs:
        done = cluster.wait_delivered(job)
        assert (done.attempts, done.result) == (1, {"warm": True})
    assert list(cluster.cwd.iterdir()) == []


def test_a_killed_scheduler_costs_no_work(cluster: Cluster) -> None:
    running = cluster.add_job(1)
    cluster.wait_begun(running)
    address = cluster.address_file.read_text()
    cluster.kill("scheduler")
    waiting = cluster.add_job(2)
    cluster.start("scheduler")
    cluster.let_go()
    assert cluster.wait_delivered(running).attempts == 1  # the worker lived and finished it
    cluster.wait_delivered(waiting)
    assert cluster.address_file.read_text() == address
    assert cluster.processes["worker"].poll() is None  # warm as it was


def test_the_job_of_a_killed_worker_runs_again(cluster: Cluster) -> None:
    job = cluster.add_job(1)
    cluster.wait_begun(job)
    cluster.kill("worker")
    (cluster.home / f"{job.job_id}.begun").unlink()
    cluster.start("worker")
    cluster.wait_begun(job)
    cluster.let_go()
    assert cluster.wait_delivered(job).attempts == 2


def test_losing_both_at_once_is_survived(cluster: Cluster) -> None:
    job = cluster.add_job(1)
    cluster.wait_begun(job)
    cluster.kill("worker")
    cluster.kill("scheduler")
    cluster.let_go()
    cluster.start("scheduler")
    cluster.start("worker")
    assert cluster.wait_delivered(job).attempts == 2


def test_a_worker_told_to_stop_ends_its_task_first(cluster: Cluster) -> None:
    job = cluster.add_job(1)
    cluster.wait_begun(job)
    cluster.processes["worker"].send_signal(signal.SIGTERM)
    cluster.let_go()
    assert cluster.processes["worker"].wait(WAIT_S) == 0
    assert cluster.wait_delivered(job).attempts == 1


def test_a_scheduler_whose_port_was_taken_moves_and_is_found(cluster: Cluster) -> None:
    cluster.let_go()
    cluster.wait_delivered(cluster.add_job(1))
    first = cluster.address_file.read_text()
    holder = cluster.processes["scheduler"]
    cluster.start("scheduler")  # beside the other, which holds the port
    wait_for(lambda: cluster.address_file.read_text() != first, "another address")
    holder.kill()
    holder.wait()
    cluster.wait_delivered(cluster.add_job(2))  # worker and dispatcher both moved over


def test_an_engine_without_scheduler_says_so(tmp_path: Path) -> None:
    engine = DaskEngine(tmp_path / "nowhere", jobs_dask_tasks.work, timeout_s=0.2)
    assert engine.capacity() == 0
    with pytest.raises(TryLater, match="not started"):
        engine.submit("job", "owner")
    (tmp_path / "nowhere").write_text("tcp://127.0.0.1:9\n")
    assert engine.capacity() == 0
    with pytest.raises(TryLater, match="does not answer"):
        engine.submit("job", "owner")
    engine.close()
