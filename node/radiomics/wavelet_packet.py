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
    axes = (1, 2) if region.planar else (0, 1, 2)
    bounds = [(int(low), int(up)) for low, up in region.box.reshape(3, 2)[::-1]]  # of z, y, x
    for paths, band in _packets(voxels, axes, bounds, wavelet, level):
        # The paths are those of z, y and x; names have x first.
        name = "-".join("".join(letters) for letters in zip(*paths[::-1], strict=True))
        yield f"wavelet-packet-{name}", region.like_box(band)


def _packets(
    voxels: Band,
    axes: tuple[int, ...],
    bounds: list[tuple[int, int]],
    wavelet: pywt.Wavelet,
    level: int,
) -> Iterator[tuple[tuple[str, ...], Band]]:
    """Yield packets along all axes with their path along each.

    Axis by axis, and cut to the lesion at once: what follows is computed only where it counts.
    Depth first, so that never all 64 are held.
    """
    if not axes:
        yield (), voxels
        return
    axis, *others = axes
    for path, band in _split(voxels, axis, bounds[axis], wavelet, level).items():
        for paths, packet in _packets(band, tuple(others), bounds, wavelet, level):
            yield (path, *paths), packet


def _split(
    voxels: Band, axis: int, bounds: tuple[int, int], wavelet: pywt.Wavelet, level: int
) -> dict[str, Band]:
    """Packets along one axis, from ``bounds[0]`` to ``bounds[1]``; path -> voxels."""
    # PyWavelets wraps round: what reaches the lesion from beyond the margin must be padding.
    reach = wavelet.dec_len * 2 ** (level - 1)
    low, up = bounds[0] - reach, bounds[1] + reach
    size = voxels.shape[axis]
    up += -(up - low + 1) % 2**level
    inside = _along(voxels, axis, max(low, 0), min(up, size - 1))
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
    last = reach + bounds[1] - bounds[0]
    return {path: _along(band, axis, reach, last) for path, band in nodes.items()}


def _along(voxels: Band, axis: int, first: int, last: int) -> Band:
    window = [slice(None)] * voxels.ndim
    window[axis] = slice(first, last + 1)
    return voxels[tuple(window)]
