"""Blur, as thick slices, motion and smoothing filters leave it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.training.augment.channels import change_each


def blur(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 1.4
) -> NDArray[np.float32]:
    """Smooth each channel by a Gaussian.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Largest standard deviation in pixels; the smallest is 0.4, or this if it is less.
    """
    return change_each(
        image,
        lambda plane: ndimage.gaussian_filter(plane, rng.uniform(min(0.4, strength), strength)),
    )
