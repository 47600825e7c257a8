"""A smooth multiplicative field, as uneven coils leave it."""

import numpy as np
from numpy.typing import NDArray


def add_bias_field(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Multiply (above the darkest value) by the exponential of a random quadratic surface."""
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in image.shape)
    c = rng.normal(0, 0.15, 5)
    surface = c[0] * x[None] + c[1] * y[:, None] + c[2] * x[None] * y[:, None]
    surface = surface + c[3] * x[None] ** 2 + c[4] * y[:, None] ** 2
    low = float(image.min())
    return np.asarray((image - low) * np.exp(surface) + low, np.float32)
