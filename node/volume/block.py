"""One block of voxels that is filled slice by slice and stays int16 as long as that is exact."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_INT16 = np.iinfo(np.int16)


class VoxelBlock:
    """A preallocated block, shape (z, y, x).

    It starts as int16. The first slice whose rescaled values are no whole numbers, or do not fit,
    turns it into float32; if that is the first slice (the usual case), nothing was wasted.

    Parameters
    ----------
    shape : tuple of int
        Slices, rows, columns.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.voxels: NDArray[Any] = np.empty(shape, np.int16)

    def put(self, k: int, stored: NDArray[Any], *, slope: float, intercept: float) -> None:
        """Store ``slope * stored + intercept`` as slice ``k``."""
        if self.voxels.dtype == np.int16 and not _fits_int16(stored, slope, intercept):
            wider = np.empty(self.voxels.shape, np.float32)
            wider[:k] = self.voxels[:k]
            self.voxels = wider
        if self.voxels.dtype == np.int16:
            rescaled = stored.astype(np.int64) if stored.dtype.itemsize > 2 else stored
            self.voxels[k] = rescaled.astype(np.int32) * int(slope) + int(intercept)
        else:
            self.voxels[k] = stored.astype(np.float64) * slope + intercept


def _fits_int16(stored: NDArray[Any], slope: float, intercept: float) -> bool:
    if not (slope.is_integer() and intercept.is_integer()):
        return False
    ends = [int(value) * int(slope) + int(intercept) for value in (stored.min(), stored.max())]
    return min(ends) >= _INT16.min and max(ends) <= _INT16.max
