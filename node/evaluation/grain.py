"""Noise of an image: its level and its grain, estimated and drawn by wavelets.

White noise has the same level in every octave. Images that the scanner interpolated (zero-filled
MR, smooth CT kernels) have little of it in the finest one; white noise of the level found there
would vanish as soon as features are taken on a coarser grid. So two octaves are measured, and the
noise drawn has the level of each.

References
----------
Donoho, Johnstone, Biometrika 81(3), 1994, doi:10.1093/biomet/81.3.425 (median of the diagonal
details); Chang, Yu, Vetterli, IEEE Trans Image Process 9(9), 2000, doi:10.1109/83.862633;
used for perturbation by Zwanenburg et al., Sci Rep 9:614, 2019, doi:10.1038/s41598-018-36938-4.
"""

from typing import Any

import numpy as np
import pywt
from numpy.typing import NDArray

WAVELET = "coif1"
OCTAVES = 2
#: Median absolute value of the standard normal distribution.
NORMAL_MEDIAN = 0.6745


def estimate_grain(voxels: NDArray[Any]) -> tuple[float, ...]:
    """Estimate the deviation of the noise in each octave, the finest first.

    Parameters
    ----------
    voxels : ndarray, shape (z, y, x)
        Region round the lesion: the median is robust against edges, but air round a patient
        would pull it down. Octaves are those of the slices' planes.

    Returns
    -------
    tuple of float
        In the unit of the voxels. Fine structure counts as noise: the figure is an upper bound.
    """
    planes = np.asarray(voxels, np.float32)
    levels = []
    for _ in range(OCTAVES):
        planes, (_, _, diagonal) = pywt.dwt2(planes, WAVELET, axes=(1, 2))
        levels.append(float(np.median(np.abs(diagonal))) / NORMAL_MEDIAN)
    return tuple(levels)


def draw_grain(
    shape: tuple[int, ...], levels: tuple[float, ...], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw Gaussian noise (z, y, x) with the given deviation in each octave, the finest first.

    Octaves beyond the last have its level.
    """
    sizes = [shape]
    for _ in levels:
        _, rows, columns = sizes[-1]
        length = pywt.Wavelet(WAVELET).dec_len
        rows, columns = (pywt.dwt_coeff_len(n, length, "symmetric") for n in (rows, columns))
        sizes.append((shape[0], rows, columns))
    noise = levels[-1] * rng.standard_normal(sizes[-1], np.float32)
    for level, inner, outer in zip(
        reversed(levels), reversed(sizes[1:]), reversed(sizes[:-1]), strict=True
    ):
        details = tuple(level * rng.standard_normal(inner, np.float32) for _ in range(3))
        noise = pywt.idwt2((noise, details), WAVELET, axes=(1, 2))
        noise = noise[:, : outer[1], : outer[2]]
    return np.asarray(noise, np.float32)
