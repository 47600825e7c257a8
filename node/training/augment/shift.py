"""Intensity shift: how bright the tissue is on the whole."""

import numpy as np
from numpy.typing import NDArray

from node.training.augment.channels import change_each


def shift_intensity(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 0.2
) -> NDArray[np.float32]:
    """Add a number to each channel.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Standard deviation of that number, in deviations of the tissue.
    """
    return change_each(image, lambda plane: plane + np.float32(rng.normal(0, strength)))
