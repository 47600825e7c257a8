"""Gabor filter bank in the slices: how strong a stripe pattern of some width is, in any direction.

The modulus of the complex response, averaged over four orientations, so that a turn of the
patient changes little. One octave of bandwidth, circular envelope.

References
----------
IBSI 2 reference manual, arXiv:2006.05470, section "Gabor filters" (Q88H).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy.signal import oaconvolve
from skimage.filters import gabor_kernel

from node.radiomics.region import Region

ORIENTATIONS = 4
#: Standard deviation of the envelope in wavelengths, for one octave of bandwidth.
OCTAVE = 0.56


def filter_gabor(region: Region, settings: Mapping[str, Any]) -> Iterator[tuple[str, sitk.Image]]:
    """Yield the averaged response for one ``wavelength_mm``."""
    wavelength_mm = float(settings["wavelength_mm"])
    voxels = sitk.GetArrayFromImage(region.image).astype(np.float64)
    _, rows_mm, columns_mm = region.spacing_mm
    # skimage counts in pixels of one size; the resampled grid has them, others nearly.
    pixels = wavelength_mm / np.sqrt(rows_mm * columns_mm)
    response = np.mean(
        [
            np.abs(_convolve(voxels, make_kernel(pixels, np.pi * step / ORIENTATIONS)))
            for step in range(ORIENTATIONS)
        ],
        axis=0,
    )
    name = f"gabor-lambda-{str(wavelength_mm).replace('.', '-')}-mm"
    yield name, region.crop(region.like_image(response))


def make_kernel(wavelength: float, angle: float) -> NDArray[np.complex128]:
    """Gabor kernel without mean, shape (rows, columns), for a wavelength in pixels."""
    sigma = OCTAVE * wavelength
    kernel = gabor_kernel(1 / wavelength, theta=angle, sigma_x=sigma, sigma_y=sigma, n_stds=3)
    envelope = np.abs(kernel)
    return np.asarray(kernel - envelope * (kernel.sum() / envelope.sum()))


def _convolve(
    voxels: NDArray[np.float64], kernel: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    rows, columns = (n // 2 for n in kernel.shape)
    padded = np.pad(voxels, ((0, 0), (rows, rows), (columns, columns)), mode="edge")
    return np.asarray(oaconvolve(padded, kernel[None], mode="valid", axes=(1, 2)))
