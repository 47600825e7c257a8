"""A whole node as a process of its own: tests send it studies, stop it, hold it and kill it.

The test process looks into the same ledger, so it waits for facts and never for time to pass.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import yaml
from free_ports import free_port

from node.bootstrap.observing import is_observer_wanted
from node.bootstrap.parts import Parts
from node.config.load import load_settings
from node.config.settings import DeliverSettings, Peer, Settings
from node.deliver.c_echo import echo
from node.domain.errors import TryLater
from node.emulate.archive import Archive
from node.emulate.modality import Sent, send_files
from node.jobs.job import Job
from node.jobs.state import FINISHED
from node.storage.database import sqlite_url

ROOT = Path(__file__).resolve().parents[1]
AE_TITLE = "ONCONODE"
CHILDREN = ("scheduler", "worker-1", "dispatcher", "listener")
"""Those that every node has."""

START_S = 120.0
"""Bound for all processes to come up: TensorFlow on a busy machine."""
JOB_S = 180.0
"""Bound for a job, with a start of the worker in between."""
LOOK_S = 0.02
SELDOM_S = 0.2
"""For what takes seconds, so that the looking does not cost more than the work."""

QUICK: Mapping[str, Any] = {
    "assemble": {"quiet_time_s": 1, "incomplete_wait_s": 0, "process_partial": False},
    "jobs": {"lease_s": 4, "poll_interval_s": 0.1, "retry_backoff_s": 0.2},
    "deliver": {"retry_backoff_s": 0.2, "acse_timeout_s": 5, "dimse_timeout_s": 30},
}
"""Short waits, for tests that make every one of them happen."""

IMPATIENT: Mapping[str, Any] = QUICK | {
    # a slow machine must not take a sender that is held up for one that has ended
    "assemble": QUICK["assemble"] | {"quiet_time_s": 3},
    "deliver": {
        "maximum_attempts": 5,
        "retry_backoff_s": 0.2,
        "retry_backoff_maximum_s": 1,
        "acse_timeout_s": 10,
        "dimse_timeout_s": 10,
        "maximum_losses": 1,
    },
}
"""Gives a sending up after a few seconds, so that there are dead letters."""

_MARK = "ONCONODE_TEST_NODE"
_QUICK_ECHO = DeliverSettings(acse_timeout_s=5, dimse_timeout_s=5)


def find_models_dir() -> Path:
    """Return the models directory: ``ONCONODE_MODELS_DIR``, else the repository's.

    Fails the test when there is no bundle in it.
    """
    models_dir = Path(os.environ.get("ONCONODE_MODELS_DIR") or ROOT / "models")
    if not any(models_dir.glob("brain-t1ce/*/bundle.yaml")):
        pytest.fail(
            f"no bundle brain-t1ce in {models_dir}: train one, or set ONCONODE_MODELS_DIR",
            pytrace=False,
        )
    return models_dir.resolve()


def clean_environment(**more: str) -> dict[str, str]:
    """The environment without settings of the node that a person may have made."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ONCONODE_")}
    return kept | more


class RunningNode:
    """A node, its configuration and its processes.

    Parameters
    ----------
    folder : Path
        For configuration, data and log.
    models_dir : Path
    peers : sequence of Peer
    rules : sequence of mapping
        Entries of ``routing.yaml``.
    node : mapping
        Further keys of ``node.yaml``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        models_dir: Path,
        peers: Sequence[Peer],
        rules: Sequence[Mapping[str, Any]],
        node: Mapping[str, Any] = QUICK,
    ) -> None:
        self.folder = folder
        self.config_dir = folder / "conf"
        self.log_file = folder / "node.log"
        self.port = free_port()
        self._mark = uuid4().hex
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.config_dir.mkdir(parents=True)
        own = {
            "ae_title": AE_TITLE,
            "port": self.port,
            "data_dir": str(folder / "data"),
            "models_dir": str(models_dir),
        }
        files = {
            "node.yaml": own | dict(node),
            "peers.yaml": {"peers": [peer.model_dump(exclude_defaults=True) for peer in peers]},
            "routing.yaml": {"rules": [dict(rule) for rule in rules]},
        }
        for name, content in files.items():
            (self.config_dir / name).write_text(yaml.safe_dump(content, sort_keys=False))

    @cached_property
    def settings(self) -> Settings:
        """As the node reads them."""
        return load_settings(self.config_dir)

    @cached_property
    def parts(self) -> Parts:
        """Ledger, store and spool of the node, opened by this process as well."""
        return Parts(settings=self.settings)

    @cached_property
    def children(self) -> tuple[str, ...]:
        """Names of the processes that its settings ask for."""
        node = self.settings.node
        observer = ("observer",) if is_observer_wanted(node) else ()
        return (*CHILDREN, *observer, *(("web",) if node.web.enabled else ()))

    @property
    def peer(self) -> Peer:
        """The node as others see it."""
        return Peer(name="node", ae_title=AE_TITLE, port=self.port)

    # -- its processes ---------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the supervisor lives."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def start(self) -> None:
        """Start the node and wait until it answers C-ECHO."""
        assert not self.is_running, "the node runs already"
        with self.log_file.open("ab") as log:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "node.cli", "--config", str(self.config_dir), "serve"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env=clean_environment(**{_MARK: self._mark}),
                start_new_session=True,
            )
        self.wait_for(self.answers, "an answer to C-ECHO", START_S, look_s=SELDOM_S)

    def takes_calls(self) -> bool:
        """Whether anybody listens at the port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def answers(self) -> bool:
        """Whether the listener answers C-ECHO."""
        if not self.takes_calls():
            return False  # pynetdicom would log it as an error every time
        try:
            echo(self.peer, calling_ae_title="TESTER", settings=_QUICK_ECHO)
        except TryLater:
            return False
        return True

    def is_whole(self) -> bool:
        """Whether every process is there, the listener answers and the worker takes work."""
        return (
            all(self.is_alive(name) for name in self.children)
            and self._is_warm()
            and self.answers()
        )

    def wait_until_whole(self) -> None:
        """Wait for that."""
        self.wait_for(self.is_whole, "all processes of the node", START_S, look_s=SELDOM_S)

    def pid(self, child: str) -> int:
        """Process id of a child, or of the supervisor."""
        return int((self.parts.run_dir / f"{child}.pid").read_text())

    def pids(self) -> dict[str, int]:
        """Process ids of the children that there are, by name."""
        found = {}
        for child in self.children:
            with suppress(FileNotFoundError):
                found[child] = self.pid(child)
        return found

    def processes(self) -> list[psutil.Process]:
        """Every living process of this node, also one that its parent has lost."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def kill(self, victim: str) -> None:
        """SIGKILL a child, or with ``"node"`` everything at once, as a loss of power does.

        It is dead when this returns.
        """
        if victim == "node":
            self._kill_all()
        else:
            process = psutil.Process(self.pid(victim))
            process.kill()
            process.wait(timeout=30)

    def kill_supervisor(self) -> None:
        """SIGKILL the parent only; its children have to see to themselves."""
        assert self._supervisor is not None
        self._supervisor.kill()
        self._supervisor.wait(timeout=10)

    def terminate(self, *, timeout_s: float = 60) -> int:
        """Ask the node to stop with SIGTERM; return its exit code."""
        self.ask_to_stop()
        return self.wait_for_exit(timeout_s=timeout_s)

    def ask_to_stop(self) -> None:
        """SIGTERM to the node, once: a second one kills."""
        assert self._supervisor is not None
        self._supervisor.terminate()

    def wait_for_exit(self, *, timeout_s: float = 60) -> int:
        """Return the exit code of the node once it has ended."""
        assert self._supervisor is not None
        return self._supervisor.wait(timeout=timeout_s)

    def close(self) -> None:
        """Leave no process behind, whatever happened."""
        self._kill_all()
        if "parts" in self.__dict__:
            self.parts.engine.dispose()

    @contextmanager
    def stopped(self, child: str) -> Iterator[None]:
        """Hold a child still with SIGSTOP, but not while it holds the lock of the database."""
        pid = self.pid(child)
        try:
            self.wait_for(lambda: self._stop_unlocked(pid), f"a moment to stop the {child}", 30)
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _stop_unlocked(self, pid: int) -> bool:
        os.kill(pid, signal.SIGSTOP)
        database = sqlite_url(self.settings.node.data_dir).partition("///")[2]
        connection = sqlite3.connect(database, timeout=0.3, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            return False
        else:
            return True
        finally:
            connection.close()

    def _kill_all(self) -> None:
        if self._supervisor is not None:
            self._supervisor.kill()
        while processes := self.processes():
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, timeout=0.1)
        if self._supervisor is not None:
            self._supervisor.wait(timeout=10)

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return (
                process.status() != psutil.STATUS_ZOMBIE
                and process.environ().get(_MARK) == self._mark
            )
        except (psutil.Error, OSError):
            return False

    def is_alive(self, child: str) -> bool:
        """Whether a child lives now."""
        try:
            return psutil.Process(self.pid(child)).status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, OSError, ValueError):
            return False

    def _is_warm(self) -> bool:
        """Whether the worker that was started last is registered with the scheduler."""
        is_warm = False
        for event in self.log_events():
            match event:
                case {"event": "child.started", "child": "worker-1"}:
                    is_warm = False
                case {"event": "worker.scheduler_lost"}:
                    is_warm = False
                case {"event": "worker.registered"}:
                    is_warm = True
        return is_warm

    def onconode(self, *arguments: str) -> str:
        """Run a command with the configuration of this node; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "node.cli", "--config", str(self.config_dir), *arguments],
            cwd=ROOT,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # -- its work --------------------------------------------------------------------------------

    def send(self, paths: Sequence[Path], *, calling_ae: str = "MODALITY") -> tuple[Sent, ...]:
        """Send files over one association; every one must be answered with success."""
        sent = send_files(
            paths,
            host="127.0.0.1",
            port=self.port,
            called_ae=AE_TITLE,
            calling_ae=calling_ae,
            timeout_s=60,
        )
        assert {one.status for one in sent} == {0}, [one.status for one in sent]
        return sent

    def jobs(self, study_instance_uid: str) -> list[Job]:
        """Return the jobs of a study."""
        return self.parts.ledger.list(study=study_instance_uid)

    def job(self, study_instance_uid: str) -> Job | None:
        """Return the only job of a study, None before there is one."""
        jobs = self.jobs(study_instance_uid)
        assert len(jobs) <= 1, [(job.job_id, job.state, job.error) for job in jobs]
        return jobs[0] if jobs else None

    def wait_for_end(self, study_instance_uid: str) -> Job:
        """Wait until the only job of a study is at rest, whatever came of it."""

        def is_at_rest() -> bool:
            job = self.job(study_instance_uid)
            return job is not None and job.state in FINISHED

        self.wait_for(is_at_rest, f"the end of the job of {study_instance_uid}", JOB_S)
        job = self.job(study_instance_uid)
        assert job is not None
        return job

    def wait_for(
        self,
        condition: Callable[[], object],
        what: str,
        timeout_s: float,
        *,
        look_s: float = LOOK_S,
    ) -> None:
        """Wait for a condition; fails with the end of the log, and at once if the node ended."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert self._supervisor is None or self._supervisor.poll() is None, (
                f"the node ended with {self._supervisor.returncode}\n{self.log_tail()}"
            )
            assert time.monotonic() < deadline_s, (
                f"waited {timeout_s:g} s in vain for {what}\n{self.log_tail()}"
            )
            time.sleep(look_s)

    def log_events(self) -> Iterator[dict[str, Any]]:
        """Every event in the log of all its processes."""
        if not self.log_file.exists():
            return
        for line in self.log_file.read_text(errors="replace").splitlines():
            with suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the log."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])


@contextmanager
def node_beside_archive(
    folder: Path, rule: str, node: Mapping[str, Any]
) -> Iterator[tuple[RunningNode, Archive]]:
    """A whole node that sends what it makes of MR to an archive; both are stopped at the end."""
    with Archive(folder / "archive") as archive:
        running = RunningNode(
            folder / "node",
            models_dir=find_models_dir(),
            peers=[Peer(name="archive", ae_title=archive.ae_title, port=archive.port)],
            rules=[
                {
                    "name": rule,
                    "match": {"modality": ["MR"]},
                    "bundle": "brain-t1ce",
                    "destinations": ["archive"],
                }
            ],
            node=node,
        )
        try:
            running.start()
            running.wait_until_whole()
            yield running, archive
        finally:
            running.close()
