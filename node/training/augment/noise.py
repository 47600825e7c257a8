"""Noise of the receiver: Gaussian, or Rician as in magnitude MR images."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.training.augment.channels import change_each


def add_noise(
    image: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    strength: float = 0.4,
    rician_share: float = 0.5,
) -> NDArray[np.float32]:
    """Add noise to each channel, white or with the grain that interpolation leaves.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Largest standard deviation, in deviations of the tissue.
    rician_share : float
        Probability that the noise is Rician: both parts of the complex signal are noisy, so that
        dark regions become brighter. The darkest value of a channel counts as no signal.

    References
    ----------
    Gudbjartsson, Patz, Magn Reson Med 34(6), 1995, doi:10.1002/mrm.1910340618.
    """
    rician = rng.random() < rician_share

    def change(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        deviation = np.float32(rng.uniform(min(0.03, strength), strength))
        grain = rng.random() < 0.5
        real = _draw_noise(plane.shape, rng, grain=grain) * deviation
        if not rician:
            return np.asarray(plane + real)
        low = plane.min()
        imaginary = _draw_noise(plane.shape, rng, grain=grain) * deviation
        return np.asarray(np.hypot(plane - low + real, imaginary) + low)

    return change_each(image, change)


def _draw_noise(
    shape: tuple[int, ...], rng: np.random.Generator, *, grain: bool
) -> NDArray[np.float32]:
    """Noise of deviation 1."""
    noise = rng.standard_normal(shape, np.float32)
    if grain:
        # A Gaussian of 0.7 pixels leaves 1 / 2.48 of the deviation of white noise.
        noise = ndimage.gaussian_filter(noise, 0.7, mode="wrap") * np.float32(2.2)
    return noise
