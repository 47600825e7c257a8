"""Other grids over the same piece of the patient."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from node.domain.geometry import Geometry, Vector

_RIGHT_ANGLE_TOLERANCE = 2e-3
"""Largest cosine between two axes that still count as perpendicular (0.1 degrees)."""


def is_sheared(geometry: Geometry) -> bool:
    """Tell whether the axes are not at right angles, as with a tilted gantry."""
    products = geometry.direction.T @ geometry.direction
    return bool(np.abs(products - np.eye(3)).max() > _RIGHT_ANGLE_TOLERANCE)


def grid_with_spacing(geometry: Geometry, spacing_mm: Vector) -> Geometry:
    """Grid of right angles with another spacing that covers the given one.

    The in-plane axes are kept. The slice axis is kept too, unless the grid is sheared: then it
    becomes the normal. Both grids have one centre, so that neither gains on one side.

    Parameters
    ----------
    geometry : Geometry
        Grid to cover, including the outer halves of its edge voxels.
    spacing_mm : tuple of float
        Wanted distances between slices, rows and columns.
    """
    axes = right_angled_axes(geometry)
    low_mm, high_mm = _extent_along(geometry, axes)
    spacing = np.asarray(spacing_mm, np.float64)
    if not (spacing > 0).all():
        raise ValueError(f"spacing {tuple(spacing_mm)} mm is not positive")
    counts = np.maximum(np.ceil((high_mm - low_mm) / spacing - 1e-6).astype(int), 1)
    first = (low_mm + high_mm) / 2 - spacing * (counts - 1) / 2
    slices, rows, columns = (int(count) for count in counts)
    return Geometry.from_axes(
        origin_mm=axes @ first,
        slice_step_mm=axes[:, 0] * spacing[0],
        row_step_mm=axes[:, 1] * spacing[1],
        column_step_mm=axes[:, 2] * spacing[2],
        shape=(slices, rows, columns),
    )


def right_angled_axes(geometry: Geometry) -> NDArray[np.float64]:
    """Orthonormal slice, row and column axes as columns, nearest to those of the grid."""
    column = geometry.direction[:, 2]
    row = geometry.direction[:, 1] - column * (geometry.direction[:, 1] @ column)
    row = row / np.linalg.norm(row)
    normal = np.cross(column, row)
    if normal @ geometry.direction[:, 0] < 0:
        normal = -normal
    return np.stack([normal, row, column], axis=1)


def _extent_along(
    geometry: Geometry, axes: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest coordinate of the outer corners along each axis, in mm."""
    edges = [(-0.5, count - 0.5) for count in geometry.shape]
    corners = np.array(np.meshgrid(*edges, indexing="ij")).reshape(3, -1).T
    along = geometry.to_lps(corners) @ np.asarray(axes)
    return along.min(axis=0), along.max(axis=0)
