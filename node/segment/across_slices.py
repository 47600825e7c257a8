"""Let neighbouring slices have a say in the probability of a slice."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

ROWS = 16
"""Smoothed at a time: a series of 2,000 slices need not stand in float32 as a whole."""


def smooth_across_slices(
    probability: NDArray[np.float16], sigma_slices: float
) -> NDArray[np.float16]:
    """Smooth along the first axis by a Gaussian; the ends continue as they are.

    A network that sees one slice at a time leaves gaps and stray marks between slices that its
    neighbours do not bear out.

    Parameters
    ----------
    probability : ndarray of float16, shape (z, y, x)
    sigma_slices : float
        Standard deviation in slices; 0 changes nothing.

    Returns
    -------
    ndarray of float16, shape (z, y, x)
        The given array itself where there is nothing to smooth.
    """
    if sigma_slices <= 0 or len(probability) < 2:
        return probability
    out = np.empty_like(probability)
    for row in range(0, probability.shape[1], ROWS):
        part = np.s_[:, row : row + ROWS]
        out[part] = gaussian_filter1d(
            probability[part].astype(np.float32), sigma_slices, axis=0, mode="nearest"
        )
    return out
