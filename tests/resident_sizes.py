"""Resident sizes of a node's processes while it works, and how they grow with the work."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import psutil
from running_node import CHILDREN, RunningNode

EVERY_S = 1.0
SETTLING = 20
"""Results after the start of a process in which its memory may still settle."""
ENOUGH = 40
"""Results that a life must span to tell of growth."""


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
            "| process | lives | peak (MB) | growth (MB per 100 studies) | over (studies) |",
            "|---|---:|---:|---:|---:|",
        ]
        for child in CHILDREN:
            mine = [sample for sample in self.samples if sample.child == child]
            peak_mb = max((sample.resident_mb for sample in mine), default=0.0)
            lives = len({sample.pid for sample in mine})
            slope, span = growth_of(mine)
            growth = "too short a life" if slope is None else f"{100 * slope:+.1f}"
            lines.append(f"| {child} | {lives} | {peak_mb:.0f} | {growth} | {span} |")
        return "\n".join(lines)


def growth_of(samples: Sequence[Sample]) -> tuple[float | None, int]:
    """Growth in MB per result in the longest life of a process, and the results that it spans.

    A line is fitted to what follows the first ``SETTLING`` results of that life; None where
    fewer than ``ENOUGH`` are left.
    """
    lives: dict[int, list[Sample]] = {}
    for sample in samples:
        lives.setdefault(sample.pid, []).append(sample)
    if not lives:
        return None, 0
    longest = max(lives.values(), key=lambda life: life[-1].results - life[0].results)
    settled = [each for each in longest if each.results >= longest[0].results + SETTLING]
    span = settled[-1].results - settled[0].results if settled else 0
    if span < ENOUGH:
        return None, span
    slope, _ = np.polyfit(
        [each.results for each in settled], [each.resident_mb for each in settled], 1
    )
    return float(slope), span
