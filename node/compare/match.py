"""Which lesions of two examinations are one and the same.

Overlap after registration counts first; lesions that lie side by side are paired by the distance
of their middles, in units of their size. Pairs are chosen together, so that the sum of their costs
is least. What is left over may be a part of a lesion that fell apart, or one of several that grew
together.

References
----------
Kuhn, doi:10.1002/nav.3800020109 (assignment problem), as in SciPy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from node.domain.prior import PriorLesion
from node.domain.segmentation import Segmentation

TOLERANCE_MM = 3.0
"""Added to the reach of a lesion: registration and breathing move them by about that."""
PART_SHARE = 0.5
"""A left-over lesion belongs to another where so much of it lies in that."""
UNPAIRED = 1.0
"""Cost of leaving a lesion alone; pairs that cost more than two of them are not made."""
APART = 4.0
"""Cost of pairs that cannot be one lesion."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Lesions that are one and the same: indices into the present and the earlier ones.

    The first of each is the one that was paired; the others are parts.
    """

    present: tuple[int, ...]
    earlier: tuple[int, ...]


def match_lesions(
    segmentation: Segmentation,
    earlier: Sequence[PriorLesion],
    moved_mm: Sequence[NDArray[np.float64]],
) -> list[Group]:
    """Sort present and earlier lesions into groups.

    Parameters
    ----------
    segmentation : Segmentation
        The present one.
    earlier : sequence of PriorLesion
    moved_mm : sequence of ndarray, shape (n, 3)
        Voxels of each earlier lesion, mapped to the present examination, LPS.

    Returns
    -------
    list of Group
        Each lesion in exactly one; present ones in their order, then those of none.
    """
    lesions = segmentation.lesions
    shared_ml = _intersections(segmentation, earlier, moved_mm)
    pairs = _assign(_costs(segmentation, earlier, moved_mm, shared_ml))
    present_of = {j: [i] for i, j in pairs}
    earlier_of = {i: [j] for i, j in pairs}
    parts, merged = [], []
    for i in set(range(len(lesions))) - set(earlier_of):
        share = shared_ml[i] / lesions[i].volume_ml
        if len(earlier) and share.max() >= PART_SHARE and int(share.argmax()) in present_of:
            parts.append((i, int(share.argmax())))
    for j in set(range(len(earlier))) - set(present_of):
        share = shared_ml[:, j] / earlier[j].volume_ml
        if len(lesions) and share.max() >= PART_SHARE and int(share.argmax()) in earlier_of:
            merged.append((int(share.argmax()), j))
    for i, j in parts:
        present_of[j].append(i)
    for i, j in merged:
        earlier_of[i].append(j)
    groups = [
        Group(
            present=(i, *sorted(present_of[js[0]][1:])),
            earlier=(js[0], *sorted(js[1:])),
        )
        for i, js in sorted(earlier_of.items())
    ]
    present = {i for group in groups for i in group.present}
    before = {j for group in groups for j in group.earlier}
    alone = leave_apart(segmentation, earlier)
    groups += [
        each for each in alone if not {*each.present} & present and not {*each.earlier} & before
    ]
    return sorted(groups, key=lambda each: (not each.present, each.present, each.earlier))


def leave_apart(segmentation: Segmentation, earlier: Sequence[PriorLesion]) -> list[Group]:
    """Each lesion in a group of its own, where nothing tells which belong together."""
    groups = [Group(present=(i,), earlier=()) for i in range(len(segmentation.lesions))]
    return groups + [Group(present=(), earlier=(j,)) for j in range(len(earlier))]


def _intersections(
    segmentation: Segmentation,
    earlier: Sequence[PriorLesion],
    moved_mm: Sequence[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Volume in ml that each present lesion (row) shares with each earlier one (column)."""
    shared = np.zeros((len(segmentation.lesions), len(earlier)))
    shape = np.array(segmentation.geometry.shape)
    for j, (lesion, points) in enumerate(zip(earlier, moved_mm, strict=True)):
        index = np.rint(segmentation.geometry.to_index(points)).astype(int)
        index = index[((index >= 0) & (index < shape)).all(axis=1)]
        labels = segmentation.labels[tuple(index.T)]
        counts = np.bincount(labels, minlength=len(segmentation.lesions) + 1)[1:]
        shared[:, j] = counts * lesion.volume_ml / max(len(points), 1)
    return shared


def _costs(
    segmentation: Segmentation,
    earlier: Sequence[PriorLesion],
    moved_mm: Sequence[NDArray[np.float64]],
    shared_ml: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return 0 for one place and size, below 1 with overlap, up to 2 side by side, else APART."""
    costs = np.full(shared_ml.shape, APART)
    middles_mm = [points.mean(axis=0) for points in moved_mm]
    for i, lesion in enumerate(segmentation.lesions):
        for j, (other, middle_mm) in enumerate(zip(earlier, middles_mm, strict=True)):
            distance = float(np.linalg.norm(middle_mm - lesion.centroid_lps_mm))
            reach = _radius_mm(max(lesion.volume_ml, other.volume_ml)) + TOLERANCE_MM
            if shared_ml[i, j] > 0:
                costs[i, j] = 1 - 2 * shared_ml[i, j] / (lesion.volume_ml + other.volume_ml)
                costs[i, j] = float(np.clip(costs[i, j], 0, 1)) * min(1.0, 0.5 + distance / reach)
            elif distance < reach:
                costs[i, j] = 1 + distance / reach
    return costs


def _radius_mm(volume_ml: float) -> float:
    """Radius of the ball of that volume."""
    return float((750 * volume_ml / np.pi) ** (1 / 3))


def _assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pair rows and columns so that the sum of costs is least; each may stay alone for a price."""
    rows, columns = costs.shape
    square = np.full((rows + columns, rows + columns), UNPAIRED)
    square[:rows, :columns] = costs
    square[rows:, columns:] = 0
    pairs = zip(*linear_sum_assignment(square), strict=True)
    return [(int(i), int(j)) for i, j in pairs if i < rows and j < columns]
