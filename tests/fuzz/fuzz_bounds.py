"""One case may take neither long nor much memory."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

CASE_S = 20.0
"""Generous: the slowest honest case takes about 0.1 s, and machines stall."""
GROWTH_BYTES = 600 << 20


class Hung(BaseException):
    """A case took too long; no handler of errors may swallow it."""


@contextmanager
def bounded_time() -> Iterator[None]:
    """Raise ``Hung`` in a case that takes too long."""

    def ring(*_: object) -> None:
        raise Hung(f"more than {CASE_S:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, CASE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def peak_bytes() -> int:
    """Most memory that the process ever had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
