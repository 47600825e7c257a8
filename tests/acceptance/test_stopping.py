"""SIGTERM drains the node, a dead supervisor takes all with it, and a restart goes on."""

import signal
from pathlib import Path

import psutil
import pytest
from fault_table import Row
from held_stages import Bench
from running_node import JOB_S, RunningNode
from small_study import write_small_study

from node.emulate.archive import Archive
from node.jobs.state import JobEvent

pytestmark = pytest.mark.slow


def begin_study(node: RunningNode, folder: Path) -> str:
    """Send a study and wait until a worker is at it."""
    study = write_small_study(folder)
    node.send(study.paths)

    def is_begun() -> bool:
        job = node.job(study.study_instance_uid)
        return job is not None and job.stage != ""

    node.wait_for(is_begun, "a worker to begin", JOB_S)
    return study.study_instance_uid


def test_sigterm_lets_the_work_end_and_a_restart_goes_on(
    node: RunningNode, archive: Archive, tmp_path: Path, fault_rows: list[Row]
) -> None:
    uid = begin_study(node, tmp_path / "study")
    assert node.terminate() == 0
    assert node.processes() == []
    events = [line.event for line in node.parts.ledger.events(node.job(uid).job_id)]
    assert events.count(JobEvent.CLAIM) == 1
    assert JobEvent.FINISH in events  # the worker was not cut off
    stopped = {
        event.get("name") for event in node.log_events() if event["event"] == "worker.stopped"
    }
    assert stopped
    node.start()
    bench = Bench(node, archive, tmp_path, fault_rows)
    bench.conclude(uid, fault="SIGTERM, drain", stage="segmenting")
    assert node.job(uid).attempts == 1


def test_a_killed_supervisor_leaves_no_orphan_and_a_restart_goes_on(
    node: RunningNode, archive: Archive, tmp_path: Path, fault_rows: list[Row]
) -> None:
    uid = begin_study(node, tmp_path / "study")
    orphans = node.processes()
    node.kill_supervisor()
    psutil.wait_procs(orphans, timeout=20)
    assert node.processes() == []
    node.start()
    bench = Bench(node, archive, tmp_path, fault_rows)
    bench.conclude(uid, fault="SIGKILL supervisor", stage="segmenting")


def test_stopping_in_the_middle_of_the_start_leaves_nothing(node: RunningNode) -> None:
    assert node.terminate() == 0
    node.start()  # the listener answers long before the worker is warm
    worker = node.pid("worker-1")
    assert node.terminate() in (0, -signal.SIGTERM)
    assert not psutil.pid_exists(worker)
    assert node.processes() == []
