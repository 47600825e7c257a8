"""Normalisation of slices whose intensities have no unit (MR)."""

import numpy as np
from numpy.typing import NDArray


def normalise_over_tissue(
    image: NDArray[np.float32], *, foreground_fraction: float
) -> NDArray[np.float32] | None:
    """Scale a slice to zero mean and unit deviation over its tissue.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns)
    foreground_fraction : float
        Pixels brighter than this share of the 99.5th percentile count as tissue.

    Returns
    -------
    ndarray of float32 or None
        None when the slice holds no tissue.
    """
    bright = float(np.percentile(image, 99.5))
    tissue = image[image > foreground_fraction * bright]
    if bright <= 0 or tissue.size < 16:
        return None
    deviation = max(float(tissue.std()), 1e-6 * bright)
    return np.asarray((image - float(tissue.mean())) / deviation, np.float32)
