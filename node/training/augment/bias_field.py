"""A smooth multiplicative field, as uneven coils leave it."""

import numpy as np
from numpy.typing import NDArray

from node.training.augment.channels import change_each


def add_bias_field(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 0.15
) -> NDArray[np.float32]:
    """Multiply (above the darkest value) by the exponential of a random quadratic surface.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Standard deviation of the surface's five coefficients.
    """
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape[:2])
    y = y[:, None]

    def change(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        c = rng.normal(0, strength, 5).astype(np.float32)
        surface = (c[0] * x + c[3] * x**2) + (c[1] * y + c[4] * y**2) + c[2] * x * y
        low = plane.min()
        return np.asarray((plane - low) * np.exp(surface) + low, np.float32)

    return change_each(image, change)
