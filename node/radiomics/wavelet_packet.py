"""Wavelet packets of the lesion's surroundings; their energy is the mean square over the lesion.

Undecimated (stationary) packets by PyWavelets, so that the values do not depend on where the grid
begins, and with as many coefficients as the image has voxels. Scaled so that the energies of all
packets add up to the mean square of the image (Parseval, for orthogonal wavelets).

References
----------
Coifman and Wickerhauser, IEEE Trans Inf Theory 38(2), 1992, doi:10.1109/18.119732.
Nason and Silverman, The stationary wavelet transform, 1995, doi:10.1007/978-1-4612-2544-7_17.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
import pywt
import SimpleITK as sitk
from numpy.typing import NDArray

from node.radiomics.region import Region

Band = NDArray[np.float64]


def filter_wavelet_packets(
    region: Region, settings: Mapping[str, Any]
) -> Iterator[tuple[str, sitk.Image]]:
    """Yield every packet of a level over the lesion's box.

    Parameters
    ----------
    region : Region
        Two axes if it is planar, else three.
    settings : mapping
        ``wavelet`` (an orthogonal one of PyWavelets) and ``level``.
    """
    wavelet, level = pywt.Wavelet(str(settings["wavelet"])), int(settings["level"])
    voxels = sitk.GetArrayFromImage(region.image).astype(np.float64)
    bounds = region.box.reshape(3, 2)[::-1]  # z, y, x
    axes = (1, 2) if region.planar else (0, 1, 2)
    bands: dict[tuple[str, ...], Band] = {(): voxels}
    # Axis by axis, and cut to the lesion at once: what follows is computed only where it counts.
    for axis in axes:
        low, up = int(bounds[axis][0]), int(bounds[axis][1])
        bands = {
            (*path, letters): band
            for path, parent in bands.items()
            for letters, band in _split(parent, axis, (low, up), wavelet, level).items()
        }
    for letters in product(_paths(level), repeat=len(axes)):  # of x, y and z
        name = "-".join("".join(letter) for letter in zip(*letters, strict=True))
        yield f"wavelet-packet-{name}", region.like_box(bands[letters[::-1]])


def _paths(level: int) -> list[str]:
    return ["".join(letters) for letters in product("LH", repeat=level)]


def _split(
    voxels: Band, axis: int, bounds: tuple[int, int], wavelet: pywt.Wavelet, level: int
) -> dict[str, Band]:
    """Packets along one axis, from ``bounds[0]`` to ``bounds[1]``; path -> voxels."""
    # PyWavelets wraps round: what reaches the lesion from beyond the margin must be padding.
    reach = wavelet.dec_len * 2 ** (level - 1)
    low, up = bounds[0] - reach, bounds[1] + reach
    size = voxels.shape[axis]
    up += -(up - low + 1) % 2**level
    inside = np.take(voxels, range(max(low, 0), min(up, size - 1) + 1), axis=axis)
    padding = [(0, 0)] * voxels.ndim
    padding[axis] = (max(-low, 0), max(up - size + 1, 0))
    nodes = {"": np.pad(inside, padding, mode="symmetric")}
    for depth in range(level):
        split = {
            path: pywt.swt(band, wavelet, level=1, start_level=depth, axis=axis)[0]
            for path, band in nodes.items()
        }
        nodes = {
            path + letter: band / np.sqrt(2)
            for path, pair in split.items()
            for letter, band in zip("LH", pair, strict=True)
        }
    wanted = range(reach, reach + bounds[1] - bounds[0] + 1)
    return {path: np.take(band, wanted, axis=axis) for path, band in nodes.items()}
