"""Real processes under a real supervisor."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from node.domain.errors import SetupFault
from node.jobs.backoff import Backoff
from node.jobs.supervisor import Supervisor, hold_lock

WAIT_S = 15.0

CHILD = """
import signal, sys, threading, pathlib
from node.jobs.lifeline import watch_parent
assert watch_parent()
behaviour, notes = sys.argv[1], pathlib.Path(sys.argv[2])
if behaviour == "broken":
    sys.exit(3)
def told(*_):
    with notes.open("a") as lines:
        lines.write(behaviour + "\\n")
    if behaviour != "stubborn":
        sys.exit(0)
signal.signal(signal.SIGTERM, told)
(notes.parent / (behaviour + ".ready")).touch()
while True:
    signal.pause()
"""

PARENT = """
import json, pathlib, sys
from node.jobs.backoff import Backoff
from node.jobs.supervisor import Supervisor
children, run_dir, drain_s = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]), float(sys.argv[3])
sys.exit(Supervisor(
    children, run_dir=run_dir, drain_s=drain_s, fatal_exit_codes=frozenset({3}),
    restart_backoff=Backoff(first_s=0.1, maximum_s=1),
).run())
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {WAIT_S:g} s for {what}"
        time.sleep(0.02)


class Node:
    """A supervisor in a process of its own."""

    def __init__(self, home: Path, *behaviours: str, drain_s: float = 5.0) -> None:
        self.run_dir = home / "run"
        self.notes = home / "notes"
        children = [
            [name, [sys.executable, "-c", CHILD, name, str(self.notes)]] for name in behaviours
        ]
        arguments = [json.dumps(children), str(self.run_dir), str(drain_s)]
        self.process = subprocess.Popen([sys.executable, "-c", PARENT, *arguments])

    def pid(self, name: str) -> int:
        try:
            return int((self.run_dir / f"{name}.pid").read_text())
        except FileNotFoundError:
            return 0

    def wait_until_ready(self, *names: str) -> None:
        for name in names:
            marker = self.notes.parent / f"{name}.ready"
            wait_for(marker.exists, f"{name} to be ready")


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def make(*behaviours: str, drain_s: float = 5.0) -> Node:
        nodes.append(Node(tmp_path, *behaviours, drain_s=drain_s))
        return nodes[-1]

    yield make
    for node in nodes:
        node.process.kill()
        node.process.wait()


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_child_comes_back(make_node: Callable[..., Node]) -> None:
    node = make_node("one", "two")
    node.wait_until_ready("one", "two")
    killed, other = node.pid("one"), node.pid("two")
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: node.pid("one") not in (0, killed), "a new pid of the child")
    assert is_alive(node.pid("one"))
    assert node.pid("two") == other
    assert node.pid("supervisor") == node.process.pid


def test_no_child_outlives_a_killed_supervisor(make_node: Callable[..., Node]) -> None:
    node = make_node("one", "stubborn")
    node.wait_until_ready("one", "stubborn")
    pids = [node.pid("one"), node.pid("stubborn")]
    node.process.kill()
    killed_at_s = time.monotonic()
    node.process.wait()
    wait_for(lambda: not any(is_alive(pid) for pid in pids), "the children to die")
    assert time.monotonic() - killed_at_s < 1


def test_children_drain_in_reverse_order(make_node: Callable[..., Node]) -> None:
    node = make_node("first", "second")
    node.wait_until_ready("first", "second")
    node.process.terminate()
    assert node.process.wait(WAIT_S) == 0
    assert node.notes.read_text().split() == ["second", "first"]
    assert [path.name for path in node.run_dir.iterdir()] == ["supervisor.lock"]


def test_a_child_that_does_not_drain_is_killed(make_node: Callable[..., Node]) -> None:
    node = make_node("stubborn", drain_s=0.3)
    node.wait_until_ready("stubborn")
    pid = node.pid("stubborn")
    node.process.send_signal(signal.SIGINT)
    assert node.process.wait(WAIT_S) == 0
    assert not is_alive(pid)


def test_a_second_signal_does_not_wait(make_node: Callable[..., Node]) -> None:
    node = make_node("stubborn", drain_s=60)
    node.wait_until_ready("stubborn")
    node.process.terminate()
    wait_for(node.notes.exists, "the child to be told")
    node.process.terminate()
    assert node.process.wait(WAIT_S) == 0


def test_a_child_that_no_restart_can_help_stops_the_node(make_node: Callable[..., Node]) -> None:
    node = make_node("one", "broken")
    assert node.process.wait(WAIT_S) == 3


def test_a_second_node_on_the_same_directory_is_refused(make_node: Callable[..., Node]) -> None:
    node = make_node("one")
    node.wait_until_ready("one")
    with pytest.raises(SetupFault, match="another node"):
        Supervisor([], run_dir=node.run_dir).run()
    node.process.kill()
    node.process.wait()
    with hold_lock(node.run_dir / "supervisor.lock"):
        pass


def test_what_an_earlier_node_left_is_taken_back_under_the_lock(tmp_path: Path) -> None:
    locked: list[bool] = []

    def take_back() -> None:
        try:
            with hold_lock(tmp_path / "supervisor.lock"):
                locked.append(False)
        except SetupFault:
            locked.append(True)

    supervisor = Supervisor([], run_dir=tmp_path, before_start=take_back)
    supervisor.stop()
    assert supervisor.run() == 0
    assert locked == [True]


def test_children_get_variables_by_name_unless_an_operator_has_set_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINE", "of the operator")
    names = ("one", "two")
    program = (
        "import os, pathlib, sys; told = os.environ.get('OURS'), os.environ.get('MINE');"
        "pathlib.Path(sys.argv[1]).write_text(repr(told))"
    )
    supervisor = Supervisor(
        [(name, [sys.executable, "-c", program, str(tmp_path / name)]) for name in names],
        run_dir=tmp_path / "run",
        restart_backoff=Backoff(first_s=60, maximum_s=60),
        environments={"one": {"OURS": "set", "MINE": "set"}},
    )
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        places = [tmp_path / name for name in names]
        wait_for(lambda: all(p.exists() and p.read_text() for p in places), "both to tell")
    finally:
        supervisor.stop()
        thread.join(WAIT_S)
    assert [place.read_text() for place in places] == [
        "('set', 'of the operator')",
        "(None, 'of the operator')",
    ]


def test_restarts_wait_longer_and_longer(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    program = f"import time; open({str(starts)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    backoff = Backoff(first_s=0.2, maximum_s=60)
    argv = [sys.executable, "-c", program]
    parent = subprocess.Popen(
        [sys.executable, "-c", RESTARTS_PARENT, str(tmp_path / "run"), repr(argv), str(0.2)]
    )
    try:
        wait_for(lambda: starts.exists() and len(starts.read_text().split()) >= 4, "four starts")
    finally:
        parent.terminate()
        parent.wait(WAIT_S)
    times = [float(text) for text in starts.read_text().split()]
    waits = [later - earlier for earlier, later in pairwise(times[:4])]
    for failures, wait in enumerate(waits, start=1):
        assert wait >= backoff.delay(failures).total_seconds()


RESTARTS_PARENT = """
import ast, pathlib, sys
from node.jobs.backoff import Backoff
from node.jobs.supervisor import Supervisor
Supervisor(
    [("short", ast.literal_eval(sys.argv[2]))], run_dir=pathlib.Path(sys.argv[1]),
    restart_backoff=Backoff(first_s=float(sys.argv[3]), maximum_s=60),
).run()
"""
