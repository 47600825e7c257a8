"""Gaussian noise, white or smoothed to the grain that interpolation leaves."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def add_noise(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add noise of up to 0.4 standard deviations of the tissue."""
    noise = rng.standard_normal(image.shape, np.float32)
    if rng.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, 0.7) * 2.2
    return image + noise * np.float32(rng.uniform(0.03, 0.4))
