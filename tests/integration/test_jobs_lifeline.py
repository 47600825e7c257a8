"""Each of the two ways by which a child dies with its parent works without the other."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from node.jobs.lifeline import PARENT_GONE, watch_parent

WAIT_S = 15.0

CHILD = """
import signal
from node.jobs.lifeline import watch_parent
assert watch_parent()
print("ready", flush=True)
while True:
    signal.pause()
"""

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=int(sys.argv[2]),
                         stdout=subprocess.PIPE)
assert child.stdout.readline() == b"ready\\n"
print(child.pid, flush=True)
child.wait()
"""


def test_the_end_of_the_pipe_ends_the_child() -> None:
    argv = [sys.executable, "-c", CHILD]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"ready\n"
        child.stdin.close()
        assert child.wait(WAIT_S) == PARENT_GONE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_the_kernel_ends_the_child_while_the_pipe_is_open() -> None:
    lifeline, held_open = os.pipe()
    argv = [sys.executable, "-c", PARENT, CHILD, str(lifeline)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, pass_fds=[lifeline]) as parent:
        os.close(lifeline)
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        deadline_s = time.monotonic() + WAIT_S
        while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline_s, "the child outlived its parent"
            time.sleep(0.02)
    os.close(held_open)


def test_a_process_started_by_hand_watches_nothing() -> None:
    with Path(os.devnull).open() as nothing:
        assert not watch_parent(lifeline_fd=nothing.fileno())
