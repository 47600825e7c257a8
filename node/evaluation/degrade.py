"""Make an image worse as scanners do: noise, blur, thick slices, coarse pixels.

Every degradation keeps the grid, so that the reference mask still fits. The first level of each
leaves the image as it is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, zoom

Spacing = tuple[float, float, float]
Degrade = Callable[
    [NDArray[np.float32], Spacing, float, np.random.Generator], NDArray[np.float32] | None
]

#: Pixels brighter than this share of the 99.5th percentile above the minimum are tissue.
TISSUE_FRACTION = 0.08
FWHM_OF_SIGMA = float(2 * np.sqrt(2 * np.log(2)))


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """One way to make an image worse, in rising levels.

    Parameters
    ----------
    name : str
    unit : str
        Of the levels, for the axis of a plot.
    levels : tuple of float
        The first one is the image as it is.
    apply : callable
        ``(voxels, spacing_mm, level, rng)`` to voxels on the same grid; None where the level
        means nothing for this image (e.g. thicker slices of a single slice).
    """

    name: str
    unit: str
    levels: tuple[float, ...]
    apply: Degrade


def measure_tissue_deviation(voxels: NDArray[Any]) -> float:
    """Standard deviation of the intensity over tissue; over everything where nothing stands out."""
    above = np.asarray(voxels, np.float64) - float(np.min(voxels))
    tissue = above > TISSUE_FRACTION * np.percentile(above, 99.5)
    return float(above[tissue].std() if tissue.any() else above.std())


def add_rician_noise(
    voxels: NDArray[np.float32], _spacing_mm: Spacing, level: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise of a magnitude image: Gaussian in both quadratures; level in tissue deviations.

    References
    ----------
    Gudbjartsson, Patz, Magn Reson Med 34(6), 1995, doi:10.1002/mrm.1910340618.
    """
    sigma = level * measure_tissue_deviation(voxels)
    floor = float(voxels.min())
    real = voxels - floor + rng.normal(0, sigma, voxels.shape)
    magnitude = np.hypot(real, rng.normal(0, sigma, voxels.shape)) if sigma > 0 else real
    return np.asarray(magnitude + floor, np.float32)


def add_gaussian_noise(
    voxels: NDArray[np.float32], _spacing_mm: Spacing, level: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise as in CT; level in tissue deviations."""
    sigma = level * measure_tissue_deviation(voxels)
    return np.asarray(voxels + rng.normal(0, sigma, voxels.shape), np.float32)


def blur_in_plane(
    voxels: NDArray[np.float32], spacing_mm: Spacing, level: float, _rng: np.random.Generator
) -> NDArray[np.float32]:
    """Gaussian blur in the plane of the slices; level is its full width at half maximum in mm."""
    blurred = np.asarray(voxels, np.float32)
    for axis in (1, 2):
        sigma = level / FWHM_OF_SIGMA / spacing_mm[axis]
        blurred = gaussian_filter1d(blurred, sigma, axis=axis, mode="nearest") if level else blurred
    return np.asarray(blurred, np.float32)


def coarsen_in_plane(
    voxels: NDArray[np.float32], spacing_mm: Spacing, level: float, _rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Acquire with pixels of ``level`` mm and interpolate back; 0 and finer leave it as it is."""
    factors = [min(1.0, spacing_mm[axis] / level) if level else 1.0 for axis in (1, 2)]
    if level and min(factors) == 1.0:
        return None
    return _resample(_resample(voxels, (1.0, *factors)), shape=voxels.shape)


def thicken_slices(
    voxels: NDArray[np.float32], _spacing_mm: Spacing, level: float, _rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Average ``level`` neighbouring slices into one and interpolate back; 1 leaves it as it is."""
    count = round(level)
    if count <= 1:
        return np.asarray(voxels, np.float32)
    if len(voxels) < 2 * count:
        return None
    return _resample(_resample(voxels, (1 / count, 1.0, 1.0)), shape=voxels.shape)


def _resample(
    voxels: NDArray[np.float32],
    factors: tuple[float, ...] | None = None,
    *,
    shape: tuple[int, ...] | None = None,
) -> NDArray[np.float32]:
    """Linear, with a box average before it coarsens; the outer edges of the voxels stay."""
    old = np.array(voxels.shape)
    new = (
        np.array(shape) if shape is not None else np.maximum(1, np.rint(old * factors)).astype(int)
    )
    out = np.asarray(voxels, np.float32)
    for axis in np.flatnonzero(new < old):
        # Means over bins of equal width, from the integral over fractional edges.
        edges = np.linspace(0, old[axis], new[axis] + 1)
        cumulated = np.insert(np.cumsum(out, axis=axis, dtype=np.float64), 0, 0.0, axis=axis)
        below = np.minimum(edges.astype(int), old[axis] - 1)
        share = (edges - below).reshape([-1 if a == axis else 1 for a in range(out.ndim)])
        at_edges = np.take(cumulated, below, axis) + share * np.take(out, below, axis)
        out = (np.diff(at_edges, axis=axis) * (new[axis] / old[axis])).astype(np.float32)
    if (new > np.array(out.shape)).any():
        out = zoom(out, new / np.array(out.shape), order=1, mode="nearest", grid_mode=True)
    return np.asarray(out, np.float32)


RICIAN_NOISE = Degradation(
    name="noise",
    unit="Rician noise, share of the tissue's deviation",
    levels=(0.0, 0.1, 0.2, 0.4, 0.6),
    apply=add_rician_noise,
)
GAUSSIAN_NOISE = Degradation(
    name="noise",
    unit="Gaussian noise, share of the tissue's deviation",
    levels=(0.0, 0.1, 0.2, 0.4, 0.6),
    apply=add_gaussian_noise,
)
BLUR = Degradation(
    name="blur",
    unit="blur, full width at half maximum (mm)",
    levels=(0.0, 1.0, 2.0, 3.0, 5.0),
    apply=blur_in_plane,
)
PIXELS = Degradation(
    name="pixels",
    unit="pixels at acquisition (mm)",
    levels=(0.0, 1.0, 1.5, 2.0, 3.0),
    apply=coarsen_in_plane,
)
SLICES = Degradation(
    name="slices",
    unit="thicker slices (neighbours averaged into one)",
    levels=(1.0, 2.0, 3.0, 4.0),
    apply=thicken_slices,
)


def degradations_for(modality: str) -> tuple[Degradation, ...]:
    """Return the degradations that make sense for images of a modality."""
    return (GAUSSIAN_NOISE if modality == "CT" else RICIAN_NOISE, BLUR, PIXELS, SLICES)
