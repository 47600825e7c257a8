"""Geometry of a voxel grid, stated once.

Conventions
-----------
* An index is ``[k, j, i]`` = ``[z, y, x]`` = slice, row, column; arrays have that order.
* Patient space is LPS in millimetres, as in DICOM (PS3.3 C.7.6.2.1.1).
* ``affine`` is 3 x 4: ``lps_mm = affine[:, :3] @ [k, j, i] + affine[:, 3]``.
  Its columns are the steps in mm from one slice, row, column to the next. They need not be
  orthogonal (gantry tilt), but they must span the space.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """Map from voxel index ``[k, j, i]`` to LPS millimetres.

    Parameters
    ----------
    affine : ndarray of float64, shape (3, 4)
        See the conventions of this module.
    shape : tuple of int
        Number of slices, rows and columns.

    Raises
    ------
    ValueError
        If the affine is singular or of the wrong shape.
    """

    affine: NDArray[np.float64]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (3, 4):
            raise ValueError(f"affine has shape {affine.shape}, expected (3, 4)")
        if abs(np.linalg.det(affine[:, :3])) < 1e-9:
            raise ValueError("affine is singular: two axes are parallel or a step is zero")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @classmethod
    def from_axes(
        cls,
        *,
        origin_mm: ArrayLike,
        slice_step_mm: ArrayLike,
        row_step_mm: ArrayLike,
        column_step_mm: ArrayLike,
        shape: tuple[int, int, int],
    ) -> "Geometry":
        """Build from the position of voxel ``[0, 0, 0]`` and the three index steps.

        ``row_step_mm`` leads from one row to the next (down a column: the second half of
        ImageOrientationPatient times the row spacing); ``column_step_mm`` from one column to
        the next (the first half times the column spacing).
        """
        columns = [slice_step_mm, row_step_mm, column_step_mm, origin_mm]
        return cls(affine=np.stack([np.asarray(c, float) for c in columns], axis=1), shape=shape)

    @property
    def spacing_mm(self) -> Vector:
        """Distances in mm between slices, rows and columns (along the index steps)."""
        z, y, x = np.linalg.norm(self.affine[:, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def origin_mm(self) -> Vector:
        """LPS position of the centre of voxel ``[0, 0, 0]``."""
        x, y, z = self.affine[:, 3]
        return float(x), float(y), float(z)

    @property
    def direction(self) -> NDArray[np.float64]:
        """Unit vectors of the slice, row and column steps, as columns, shape (3, 3)."""
        return np.asarray(self.affine[:, :3] / np.linalg.norm(self.affine[:, :3], axis=0))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel in cubic millimetres, right also for sheared grids."""
        return float(abs(np.linalg.det(self.affine[:, :3])))

    def to_lps(self, index: ArrayLike) -> NDArray[np.float64]:
        """Map indices ``[k, j, i]``, shape (..., 3), to LPS mm, shape (..., 3)."""
        return np.asarray(index, float) @ self.affine[:, :3].T + self.affine[:, 3]

    def to_index(self, lps_mm: ArrayLike) -> NDArray[np.float64]:
        """Map LPS mm, shape (..., 3), to fractional indices ``[k, j, i]``, shape (..., 3)."""
        offset = np.asarray(lps_mm, float) - self.affine[:, 3]
        return np.asarray(np.linalg.solve(self.affine[:, :3], offset[..., None])[..., 0])

    def is_close(self, other: "Geometry", tolerance_mm: float = 0.01) -> bool:
        """Tell whether both grids have one shape and place their corners alike."""
        if self.shape != other.shape:
            return False
        last = np.array(self.shape) - 1
        corners = np.array(np.meshgrid(*[[0, n] for n in last])).reshape(3, -1).T
        return bool(np.abs(self.to_lps(corners) - other.to_lps(corners)).max() <= tolerance_mm)


def read_only(array: ArrayLike, dtype: Any = None) -> NDArray[Any]:
    """Return the array with its write flag cleared; copies only when a cast needs it."""
    out = np.asarray(array, dtype=dtype).view()
    out.setflags(write=False)
    return out
