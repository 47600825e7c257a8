"""Keep the processes of a node alive, and let none outlive it."""

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType

import structlog

from node.domain.errors import SetupFault
from node.durable import make_private_folder
from node.jobs.backoff import Backoff

log = structlog.get_logger()

LOOK_INTERVAL_S = 0.1
RESTARTS = Backoff(first_s=0.5, maximum_s=30)


@dataclass(kw_only=True)
class _Child:
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    process: "subprocess.Popen[bytes] | None" = None
    started_at_s: float = 0.0
    start_not_before_s: float = 0.0
    quick_deaths: int = field(default=0)


class Supervisor:
    """Parent of all processes of a node.

    Parameters
    ----------
    children : sequence of (str, sequence of str)
        Name and command line of each, in the order of their start; they stop in reverse order,
        so name first what others lean on.
    run_dir : Path
        Gets ``<name>.pid`` for each child and for the supervisor, and the lock that keeps a
        second node off the same data directory.
    restart_backoff : Backoff
        Waits before a child that died is started again.
    stable_s : float
        A child that ran that long starts again with the first wait.
    drain_s : float
        Time for all children together to end by themselves, then they are killed.
    fatal_exit_codes : frozenset of int
        Exit codes by which a child says that a restart cannot help; the node stops with it.
    before_start : callable, optional
        Called once while the lock is held and no child runs: the moment to take back what an
        earlier node on this directory had leased.
    on_hangup : callable, optional
        Called at SIGHUP, between two looks at the children; must raise nothing.
    environments : mapping of str to mapping, optional
        Variables by name of the child; those that this process has itself go before them.
    """

    def __init__(
        self,
        children: Sequence[tuple[str, Sequence[str]]],
        *,
        run_dir: Path,
        restart_backoff: Backoff = RESTARTS,
        stable_s: float = 60.0,
        drain_s: float = 30.0,
        fatal_exit_codes: frozenset[int] = frozenset(),
        before_start: Callable[[], object] | None = None,
        on_hangup: Callable[[], object] | None = None,
        environments: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        own = environments or {}
        self._children = [
            _Child(name=name, argv=tuple(argv), environment=own.get(name, {}))
            for name, argv in children
        ]
        self._run_dir = run_dir
        self._backoff = restart_backoff
        self._stable_s = stable_s
        self._drain_s = drain_s
        self._fatal_exit_codes = fatal_exit_codes
        self._before_start = before_start
        self._on_hangup = on_hangup
        self._hung_up = threading.Event()
        self._stop = threading.Event()
        self._kill = threading.Event()

    def run(self) -> int:
        """Start the children and keep them alive until told to stop.

        SIGTERM and SIGINT stop; a second one kills without draining. SIGHUP calls ``on_hangup``.
        They are only handled when this runs in the main thread.

        Returns
        -------
        int
            0, or the exit code by which a child said that a restart cannot help.

        Raises
        ------
        SetupFault
            Another node runs on the same directory.
        """
        make_private_folder(self._run_dir)
        with (
            hold_lock(self._run_dir / "supervisor.lock"),
            _on_signals(self._ask_to_stop, self._hung_up.set if self._on_hangup else None),
        ):
            _write_pid(self._run_dir / "supervisor.pid", os.getpid())
            if self._before_start is not None:
                self._before_start()
            lifeline, held_open = os.pipe()
            try:
                return self._keep_alive(lifeline)
            finally:
                self._stop_children()
                os.close(held_open)
                os.close(lifeline)
                (self._run_dir / "supervisor.pid").unlink(missing_ok=True)

    def stop(self) -> None:
        """Ask ``run`` to end; from any thread."""
        self._stop.set()

    def _keep_alive(self, lifeline: int) -> int:
        while not self._stop.is_set():
            if self._on_hangup is not None and self._hung_up.is_set():
                self._hung_up.clear()
                self._on_hangup()
            for child in self._children:
                if child.process is None:
                    if time.monotonic() >= child.start_not_before_s:
                        self._start(child, lifeline)
                    continue
                exit_code = child.process.poll()
                if exit_code is None:
                    continue
                if exit_code in self._fatal_exit_codes:
                    log.error("child.fatal", child=child.name, exit_code=exit_code)
                    return exit_code
                self._plan_restart(child, exit_code)
            self._stop.wait(LOOK_INTERVAL_S)
        return 0

    def _start(self, child: _Child, lifeline: int) -> None:
        # A group of its own: Ctrl-C at a terminal reaches only the supervisor, which drains.
        child.process = subprocess.Popen(  # noqa: S603 - the command lines are ours
            child.argv, stdin=lifeline, process_group=0, env={**child.environment, **os.environ}
        )
        child.started_at_s = time.monotonic()
        _write_pid(self._run_dir / f"{child.name}.pid", child.process.pid)
        log.info("child.started", child=child.name, pid=child.process.pid)

    def _plan_restart(self, child: _Child, exit_code: int) -> None:
        now_s = time.monotonic()
        is_stable = now_s - child.started_at_s >= self._stable_s
        child.quick_deaths = 1 if is_stable else child.quick_deaths + 1
        delay = self._backoff.delay(child.quick_deaths)
        child.start_not_before_s = now_s + delay.total_seconds()
        child.process = None
        self._forget_pid(child)
        restart_in_s = delay / timedelta(seconds=1)
        log.warning("child.died", child=child.name, exit_code=exit_code, restart_in_s=restart_in_s)

    def _stop_children(self) -> None:
        deadline_s = time.monotonic() + self._drain_s
        for child in reversed(self._children):
            if child.process is not None:
                child.process.terminate()
                self._wait_for(child.process, deadline_s)
        for child in self._children:
            if child.process is not None:
                if child.process.poll() is None:
                    log.warning("child.killed", child=child.name, drain_s=self._drain_s)
                child.process.kill()
                child.process.wait()
                self._forget_pid(child)

    def _wait_for(self, process: "subprocess.Popen[bytes]", deadline_s: float) -> None:
        while process.poll() is None and time.monotonic() < deadline_s:
            if self._kill.wait(LOOK_INTERVAL_S / 2):
                return

    def _forget_pid(self, child: _Child) -> None:
        (self._run_dir / f"{child.name}.pid").unlink(missing_ok=True)

    def _ask_to_stop(self) -> None:
        if self._stop.is_set():
            self._kill.set()
        self._stop.set()


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock file that the kernel releases with this process.

    Raises
    ------
    SetupFault
        Another process holds it.
    """
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupFault(
                f"another node runs on {path.parent}: stop it, or set another data_dir"
            ) from None
        yield


def is_held(path: Path) -> bool:
    """Tell whether a process holds a lock file, which means that a node runs there."""
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def _on_signals(stop: Callable[[], None], hang_up: Callable[[], None] | None) -> Iterator[None]:
    """Act on SIGTERM, SIGINT and SIGHUP for a while; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    acts = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if hang_up is not None:
        acts[signal.SIGHUP] = hang_up

    def handle(number: int, _frame: FrameType | None) -> None:
        acts[signal.Signals(number)]()

    before = {number: signal.signal(number, handle) for number in acts}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _write_pid(path: Path, pid: int) -> None:
    """Write a pid file that is never seen empty."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(f"{pid}\n")
    fresh.replace(path)
