"""Diameters of a lesion in millimetres of patient space.

The outline runs half-way between a voxel inside and its neighbour outside, where marching squares
and marching cubes at 0.5 put their vertices; so the values agree with PyRadiomics' mesh.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist, squareform

from node.domain.geometry import Geometry


def outline_points(
    mask: NDArray[np.bool_], axes: tuple[int, ...] = (0, 1, 2)
) -> NDArray[np.float64]:
    """Return the mid-points between voxels inside and their face neighbours outside.

    Parameters
    ----------
    mask : ndarray of bool, shape (z, y, x)
    axes : tuple of int
        Axes along which neighbours count; (1, 2) gives the outlines of the slices.

    Returns
    -------
    ndarray of float64, shape (n, 3)
        Fractional indices ``[k, j, i]``.
    """
    padded = np.pad(mask, 1).astype(np.int8)
    points = []
    for axis in axes:
        step = np.argwhere(np.diff(padded, axis=axis)).astype(float) - 1
        step[:, axis] += 0.5
        points.append(step)
    return np.concatenate(points)


def measure_maximum_diameter(points: NDArray[np.float64], geometry: Geometry) -> float:
    """Largest distance in mm between outline points, shape (n, 3).

    References
    ----------
    IBSI reference manual, Maximum 3D diameter (L0JK), doi:10.17195/candat.2016.08.1.
    """
    lps_mm = geometry.to_lps(points)
    return float(pdist(_extreme(lps_mm)).max())


def measure_in_plane_axes(mask: NDArray[np.bool_], geometry: Geometry) -> tuple[float, float]:
    """Long and short axis in mm.

    The long axis is the largest diameter within one slice, over all slices; the short axis is the
    lesion's width at right angles to it, in the same slice.

    References
    ----------
    RECIST 1.1, doi:10.1016/j.ejca.2008.10.026.
    """
    best, short = -1.0, 0.0
    for k in np.flatnonzero(mask.any(axis=(1, 2))):
        index = outline_points(mask[k : k + 1], axes=(1, 2))
        lps_mm = geometry.to_lps(index)
        steps = geometry.affine[:, 1:3]
        basis, _ = np.linalg.qr(steps)
        plane = (lps_mm - lps_mm[0]) @ basis
        corners = _extreme(plane)
        distances = squareform(pdist(corners))
        first, second = np.unravel_index(int(distances.argmax()), distances.shape)
        if distances[first, second] > best:
            best = float(distances[first, second])
            along = (corners[second] - corners[first]) / best
            short = float(np.ptp(corners @ np.array([-along[1], along[0]])))
    return best, short


def _extreme(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the corners of the convex hull, or all points where there is no hull (flat sets)."""
    try:
        return np.asarray(points[ConvexHull(points).vertices])
    except QhullError:
        return points
