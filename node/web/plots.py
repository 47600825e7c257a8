"""Plots as numbers for SVG: where marks and ticks stand, in the units of the picture.

Conventions
-----------
* x to the right, y down, in units of a view box that begins at 0.
* Colours, words and lines are the templates' matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.evaluation.calibration import ReliabilityBin
from node.evaluation.reader_agreement import MonthOfReadings

SIDE = 320.0
MARGIN = 16.0


@dataclass(frozen=True, kw_only=True)
class Cloud:
    """Points of one class.

    Parameters
    ----------
    label : str
    path : str
        SVG path of dots: with round line ends each is a disc as wide as the stroke.
    count : int
    """

    label: str
    path: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A named place."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Plane:
    """A cloud of training lesions with the case's own among them."""

    side: float
    clouds: tuple[Cloud, ...]
    marks: tuple[Mark, ...]


def place_on_plane(
    points: NDArray[np.floating], labels: NDArray[np.str_], marks: Mapping[str, Sequence[float]]
) -> Plane:
    """Lay out points of several classes and named marks on one square.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
    labels : ndarray of str, shape (n,)
    marks : mapping of str to sequence of float
        Name -> x, y. They may lie outside of the points.
    """
    everything = np.vstack([points, *[np.reshape(place, (1, 2)) for place in marks.values()]])
    everything = everything.astype(np.float64)
    low, high = everything.min(axis=0), everything.max(axis=0)
    size = np.maximum(high - low, 1e-9)
    placed = MARGIN + (everything - low) / size * (SIDE - 2 * MARGIN)
    placed[:, 1] = SIDE - placed[:, 1]
    clouds = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        path = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in placed[rows])
        clouds.append(Cloud(label=str(label), path=path, count=len(rows)))
    own = placed[len(points) :]
    return Plane(
        side=SIDE,
        clouds=tuple(clouds),
        marks=tuple(
            Mark(name=name, x=round(float(x), 1), y=round(float(y), 1))
            for name, (x, y) in zip(marks, own, strict=True)
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Dot:
    """A value with its interval, at one place of the x axis."""

    x: float
    y: float
    top: float
    bottom: float
    label: str
    told: str


def place_months(
    months: Sequence[MonthOfReadings], *, width: float, height: float
) -> tuple[Dot, ...]:
    """Lay out shares by month: 100 % at the top, 0 % at the bottom."""
    step = width / max(len(months), 1)
    return tuple(
        Dot(
            x=round((place + 0.5) * step, 1),
            y=round((1 - month.share) * height, 1),
            top=round((1 - month.interval_95[1]) * height, 1),
            bottom=round((1 - month.interval_95[0]) * height, 1),
            label=month.month,
            told=f"{month.agreed} / {month.count}",
        )
        for place, month in enumerate(months)
    )


def place_reliability(bins: Sequence[ReliabilityBin], *, side: float) -> tuple[Dot, ...]:
    """Lay out predicted (x) and observed (y) shares on the unit square."""
    return tuple(
        Dot(
            x=round(each.predicted * side, 1),
            y=round((1 - each.observed) * side, 1),
            top=round((1 - each.interval[1]) * side, 1),
            bottom=round((1 - each.interval[0]) * side, 1),
            label=f"{each.predicted:.2f}",
            told=f"{each.observed:.2f} (n={each.count})",
        )
        for each in bins
    )
