"""Blur or sharpen, as scanners' filters do."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def blur(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur by a Gaussian of 0.4 to 1.4 pixels, or add back what such a blur removes."""
    smooth = ndimage.gaussian_filter(image, rng.uniform(0.4, 1.4))
    if rng.random() < 0.3:
        return np.asarray(image + 0.6 * (image - smooth), np.float32)
    return np.asarray(smooth, np.float32)
