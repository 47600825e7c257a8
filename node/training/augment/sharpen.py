"""Sharpening, as scanners' edge filters do it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.training.augment.channels import change_each


def sharpen(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 0.6
) -> NDArray[np.float32]:
    """Add a share of what a Gaussian blur removes (unsharp masking).

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Largest share.
    """

    def change(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        smooth = ndimage.gaussian_filter(plane, rng.uniform(0.4, 1.4))
        return np.asarray(plane + np.float32(rng.uniform(0, strength)) * (plane - smooth))

    return change_each(image, change)
