"""Contrast: a gain about the mean of the tissue."""

import numpy as np
from numpy.typing import NDArray

from node.training.augment.channels import change_each


def change_contrast(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 0.22
) -> NDArray[np.float32]:
    """Multiply each channel, whose tissue has mean 0.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Largest logarithm of the factor.
    """
    return change_each(
        image, lambda plane: plane * np.float32(np.exp(rng.uniform(-strength, strength)))
    )
