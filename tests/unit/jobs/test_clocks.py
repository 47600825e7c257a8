"""Clocks go on whatever their calls do, and no call runs twice at a time."""

import threading

from node.domain.errors import SetupFault, TryLater
from node.jobs.clocks import Clocks

WAIT_S = 10


def test_a_clock_survives_every_error() -> None:
    errors = [TryLater("later"), SetupFault("wrong"), ZeroDivisionError()]
    survived = threading.Event()

    def call() -> None:
        if errors:
            raise errors.pop()
        survived.set()

    clocks = Clocks()
    clocks.add("faulty", call, every_s=0.01)
    clocks.start()
    try:
        assert survived.wait(WAIT_S)
    finally:
        clocks.stop()


def test_a_slow_call_is_not_run_twice_and_stopping_waits_for_it() -> None:
    running, most, ended = 0, 0, 0
    ticks = threading.Event()

    def slow() -> None:
        nonlocal running, most, ended
        running += 1
        most = max(most, running)
        ticks.wait(0.05)
        running -= 1
        ended += 1

    other = threading.Event()
    clocks = Clocks()
    clocks.add("slow", slow, every_s=0.01)
    clocks.add("other", lambda: ended >= 3 and other.set(), every_s=0.01)
    clocks.start()
    try:
        assert other.wait(WAIT_S)
    finally:
        clocks.stop()
    assert (most, running) == (1, 0)
    assert ended >= 3
