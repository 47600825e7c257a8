"""A stage that hangs ends with its worker; the job is tried again and given up, others go on."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jobs_hanging_tasks
import pytest
from factories_ledger import queue_job

from node.config.settings import JobSettings
from node.jobs.backoff import Backoff
from node.jobs.dispatcher import Dispatcher
from node.jobs.engine import DaskEngine
from node.jobs.ledger import Ledger
from node.jobs.state import JobState
from node.jobs.supervisor import Supervisor

WAIT_S = 120.0
PROGRAM = Path(jobs_hanging_tasks.__file__)


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {WAIT_S:g} s for {what}"
        time.sleep(0.05)


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger with scheduler and worker under a supervisor, and a dispatcher here."""
    path = os.pathsep.join([str(PROGRAM.parents[2]), str(PROGRAM.parent)])
    monkeypatch.setenv("PYTHONPATH", path)
    opened = jobs_hanging_tasks.open_ledger(tmp_path)
    supervisor = Supervisor(
        [(role, [sys.executable, str(PROGRAM), role, str(tmp_path)]) for role in ROLES],
        run_dir=tmp_path / "run",
        restart_backoff=Backoff(first_s=0.1, maximum_s=0.5),
        drain_s=5,
    )
    dispatcher = Dispatcher(
        ledger=opened,
        engine=DaskEngine(tmp_path / "run" / "scheduler", jobs_hanging_tasks.work, timeout_s=2),
        assemble_quiet=lambda: None,
        deliver=lambda _: None,
        settings=JobSettings(lease_s=jobs_hanging_tasks.LEASE_S, poll_interval_s=0.05),
        owner="test",
    )
    processes = threading.Thread(target=supervisor.run)
    processes.start()
    dispatcher.start()
    yield opened
    dispatcher.stop()
    supervisor.stop()
    processes.join(WAIT_S)


ROLES = ("scheduler", "worker")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("hangs", "stage segment took longer than 1 s"),
        ("hangs-holding-the-lock", "its worker was lost in stage report, after "),
    ],
)
def test_a_hung_stage_is_given_up_and_the_next_study_is_processed(
    ledger: Ledger, rule: str, told: str
) -> None:
    hanging = queue_job(ledger, "1.1", rule=rule).job_id
    wait_for(lambda: ledger.get(hanging).stage, "the stage to begin")
    following = queue_job(ledger, "1.2", rule="quick").job_id
    wait_for(lambda: ledger.get(following).state is JobState.DELIVERED, "the next study")
    wait_for(lambda: ledger.get(hanging).state is JobState.FAILED, "the hung job's end")
    failed = ledger.get(hanging)
    assert failed.attempts == 2
    assert failed.error.startswith(told)
    assert "retry" not in [line.event for line in ledger.events(hanging)]
    assert ledger.retry(hanging).state is JobState.QUEUED  # dead letter, for a person
    ledger.cancel(hanging)
