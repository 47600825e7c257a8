"""Closed contours around the pixels of a mask, one polygon for each connected part.

Conventions
-----------
* Contours run half a pixel outside the centres of the outermost pixels, so that whoever asks which
  pixel centres lie within gets the mask back.
* A hole becomes part of the contour around it, by a channel of no width (PS3.3 C.8.8.6.3): readers
  disagree about a contour within another one.
* Pixels that touch at a corner only are parts of their own.
"""

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours, points_in_poly

STRAIGHT = 0.01
"""Points that stray less from a straight line, in pixels, are left out."""

Polygon = NDArray[np.float64]


def trace_mask(mask: NDArray[np.bool_]) -> list[Polygon]:
    """Trace a mask.

    Parameters
    ----------
    mask : ndarray of bool, shape (rows, columns)

    Returns
    -------
    list of ndarray of float64, shape (n, 2)
        Row and column of the corners; the last point is not the first one again.
    """
    if not mask.any():
        return []
    padded = np.pad(mask.astype(np.float64), 1)
    outer: list[Polygon] = []
    holes: list[Polygon] = []
    for closed in find_contours(padded, 0.5, fully_connected="low"):
        polygon = approximate_polygon(closed, STRAIGHT)[:-1] - 1.0
        # find_contours runs with the higher values to the left: around holes the other way
        (holes if _doubled_area(polygon) < 0 else outer).append(polygon)
    for hole in sorted(holes, key=lambda each: -float(each[:, 1].max())):
        around = [each for each in outer if points_in_poly(hole[:1], each)[0]]
        innermost = min(around, key=lambda each: abs(_doubled_area(each)))
        place = next(i for i, each in enumerate(outer) if each is innermost)
        outer[place] = _join(innermost, hole)
    return outer


def _join(around: Polygon, hole: Polygon) -> Polygon:
    """Enter the hole from the nearest point of the contour around it, and come back."""
    apart = np.linalg.norm(around[:, None] - hole[None], axis=2)
    i, j = np.unravel_index(int(apart.argmin()), apart.shape)
    return np.concatenate(
        [around[: i + 1], np.roll(hole, -int(j), axis=0), hole[j : j + 1], around[i:]]
    )


def _doubled_area(polygon: Polygon) -> float:
    y, x = polygon.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
