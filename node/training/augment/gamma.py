"""Gamma: bends the grey scale of a channel over its own range."""

import numpy as np
from numpy.typing import NDArray

from node.training.augment.channels import change_each


def change_gamma(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 0.25
) -> NDArray[np.float32]:
    """Raise each channel, scaled to 0..1, to a power.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Standard deviation of the power's logarithm.
    """

    def change(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        low, span = plane.min(), max(float(np.ptp(plane)), 1e-6)
        power = np.float32(np.exp(rng.normal(0, strength)))
        return np.asarray(((plane - low) / span) ** power * span + low, np.float32)

    return change_each(image, change)
