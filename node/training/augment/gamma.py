"""Contrast: gamma on the slice's range, then a gain and an offset."""

import numpy as np
from numpy.typing import NDArray


def change_gamma(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Bend and shift the intensities of a normalised slice."""
    low, high = float(image.min()), float(image.max())
    unit = (image - low) / max(high - low, 1e-6)
    bent = unit ** np.exp(rng.normal(0, 0.25)) * (high - low) + low
    return np.asarray(bent * rng.uniform(0.8, 1.25) + rng.normal(0, 0.2), np.float32)
