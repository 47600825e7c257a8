"""Resident sizes of a node's processes while it works, and how they grow with the work."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import psutil
from running_node import RunningNode

EVERY_S = 1.0
SETTLING = 20
"""Results after the start of a process in which its memory may still settle."""
ENOUGH = 40
"""Results that a life must span to tell of growth."""
LEAK_MB = 0.1
"""Of a result; 100 MB in a thousand studies. The slopes of a worker of 1.6 GB are not exact."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One look at a process."""

    child: str
    pid: int
    results: int
    resident_mb: float


class ResidentSizes:
    """Looks at every process of a node about once a second.

    Parameters
    ----------
    node : RunningNode
    work : callable
        Returns how many results there are.
    """

    def __init__(self, node: RunningNode, *, work: Callable[[], int]) -> None:
        self._node = node
        self._work = work
        self.samples: list[Sample] = []

    def watch(self, stop: threading.Event) -> None:
        """Look until told to stop."""
        while not stop.wait(EVERY_S):
            results = self._work()
            for child, pid in self._node.pids().items():
                with suppress(psutil.Error):
                    resident = psutil.Process(pid).memory_info().rss
                    self.samples.append(
                        Sample(child=child, pid=pid, results=results, resident_mb=resident / 1e6)
                    )

    def table(self) -> str:
        """Peak and growth of each process as markdown."""
        lines = [
            "| process | lives | peak (MB) | growth (MB per 100 studies) | late | over (studies) |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for child in self._seen():
            mine = [sample for sample in self.samples if sample.child == child]
            peak_mb = max((sample.resident_mb for sample in mine), default=0.0)
            lives = len({sample.pid for sample in mine})
            growth = growth_of(mine)
            told = ["too short a life", "-"]
            if growth.slope is not None and growth.late_slope is not None:
                told = [f"{100 * slope:+.1f}" for slope in (growth.slope, growth.late_slope)]
            lines.append(
                f"| {child} | {lives} | {peak_mb:.0f} | {' | '.join(told)} | {growth.span} |"
            )
        return "\n".join(lines)

    def _seen(self) -> list[str]:
        return list(dict.fromkeys(sample.child for sample in self.samples))

    def leaks(self) -> list[str]:
        """Processes whose memory does not stay flat."""
        return [
            child
            for child in self._seen()
            if growth_of([each for each in self.samples if each.child == child]).is_leak
        ]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a process grows in its longest life.

    Parameters
    ----------
    slope, late_slope : float or None
        MB per result, over all of that life and over its second half: a cache that fills up
        shows in the first only, a leak in both. None of a life that was too short.
    span : int
        Results in that life.
    """

    slope: float | None = None
    late_slope: float | None = None
    span: int = 0

    @property
    def is_leak(self) -> bool:
        """Whether it grows over all of that life, and still in the second half."""
        if self.slope is None or self.late_slope is None:
            return False
        return min(self.slope, self.late_slope) > LEAK_MB


def growth_of(samples: Sequence[Sample]) -> Growth:
    """Fit lines to what follows the first ``SETTLING`` results of the longest life.

    Nothing is told where fewer than ``ENOUGH`` results are left.
    """
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    if not lives:
        return Growth()
    longest = max(lives.values(), key=lambda life: life[-1].results - life[0].results)
    settled = [each for each in longest if each.results >= longest[0].results + SETTLING]
    span = settled[-1].results - settled[0].results if settled else 0
    if span < ENOUGH:
        return Growth(span=span)
    middle = settled[0].results + span / 2
    late = [each for each in settled if each.results >= middle]
    return Growth(slope=_slope(settled), late_slope=_slope(late), span=span)


def _slope(samples: Sequence[Sample]) -> float:
    slope, _ = np.polyfit(
        [each.results for each in samples], [each.resident_mb for each in samples], 1
    )
    return float(slope)
