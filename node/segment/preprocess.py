"""From a volume to the network's input, slice by slice, and back; training uses the same code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from node.domain.hanging import Hanging, find_hanging
from node.domain.intensity import normalise_over_tissue
from node.domain.volume import Volume


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How slices are prepared; part of a bundle's manifest.

    Parameters
    ----------
    spacing_mm : float
        In-plane spacing of the network's grid.
    multiple : int
        Rows and columns are padded to a multiple of this (2 to the power of the network's depth).
    foreground_fraction : float
        Pixels brighter than this share of the slice's 99.5th percentile count as tissue.
    empty_fraction : float
        Slices whose 99.5th percentile is below this share of the volume's are air or noise only.
    clip_low, clip_high : float
        Limits of the normalised intensity, in standard deviations.
    """

    spacing_mm: float = 0.98
    multiple: int = 16
    foreground_fraction: float = 0.08
    empty_fraction: float = 0.15
    clip_low: float = -3.0
    clip_high: float = 6.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """How the slices of one volume are brought to the network's grid, and the way back.

    Parameters
    ----------
    hanging : Hanging
    hung : tuple of int
        Rows and columns of the hung source slices.
    grid : tuple of int
        Rows and columns on the network's grid.
    padded : tuple of int
        The same, padded to the multiple that the network needs.
    evaluable : ndarray of bool, shape (z,)
        False for slices that hold no tissue.
    """

    spec: InputSpec
    hanging: Hanging
    hung: tuple[int, int]
    grid: tuple[int, int]
    padded: tuple[int, int]
    evaluable: NDArray[np.bool_]

    def apply(self, plane: NDArray[Any]) -> NDArray[np.float32]:
        """Hang, resample, normalise and pad one source slice; shape ``padded``."""
        image = resize(self.hanging.apply(plane).astype(np.float32), self.grid)
        image = image - min(0.0, float(image.min()))
        scaled = normalise_over_tissue(image, foreground_fraction=self.spec.foreground_fraction)
        out = np.full(self.padded, self.spec.clip_low, np.float32)
        if scaled is not None:
            rows, columns = self.grid
            out[:rows, :columns] = np.clip(scaled, self.spec.clip_low, self.spec.clip_high)
        return out

    def apply_channels(self, channels: Sequence[Volume], k: SupportsIndex) -> NDArray[np.float32]:
        """Prepare slice ``k`` of every role by itself; shape ``(*padded, channels)``.

        Raises
        ------
        ValueError
            If the volumes lie on different grids.
        """
        shapes = {volume.voxels.shape for volume in channels}
        if len(shapes) != 1:
            raise ValueError(f"channels of several shapes: {sorted(shapes)}")
        return np.stack([self.apply(volume.voxels[k]) for volume in channels], axis=-1)

    def apply_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Bring a mask (rows, columns) the same way; values are area shares, shape ``padded``."""
        out = np.zeros(self.padded, np.float32)
        rows, columns = self.grid
        out[:rows, :columns] = resize(self.hanging.apply(mask).astype(np.float32), self.grid)
        return out

    def undo(self, probability: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring probabilities of one slice, shape ``padded``, to the source's grid."""
        rows, columns = self.grid
        return self.hanging.undo(resize(probability[:rows, :columns], self.hung))


def resize(image: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resample by an antialiased triangle filter; the outer pixel edges stay where they are."""
    if image.shape == shape:
        return image
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    size = (shape[1], shape[0])
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR), dtype=np.float32)


def prepare_slices(channels: Sequence[Volume], spec: InputSpec) -> NDArray[np.float32]:
    """Prepare all slices of the roles of one case, as the network sees them.

    Returns
    -------
    ndarray of float32, shape (z, padded rows, padded columns, channels)
        Also the slices that hold no tissue; ``plan_preparation`` tells which those are.
    """
    preparation = plan_preparation(channels[0], spec)
    slices = range(len(channels[0].voxels))
    return np.stack([preparation.apply_channels(channels, k) for k in slices])


def plan_preparation(volume: Volume, spec: InputSpec) -> Preparation:
    """Work out hanging, grid and evaluable slices of a volume: of the reference, among several."""
    hanging = find_hanging(volume.geometry)
    _, row_mm, column_mm = volume.geometry.spacing_mm
    if hanging.transpose:
        row_mm, column_mm = column_mm, row_mm
    hung = hanging.apply(volume.voxels[0]).shape
    grid = (
        max(1, round(hung[0] * row_mm / spec.spacing_mm)),
        max(1, round(hung[1] * column_mm / spec.spacing_mm)),
    )
    # Every second row and column is enough to tell tissue from air.
    bright = np.array([np.percentile(plane[::2, ::2], 99.5) for plane in volume.voxels])
    bright = bright - min(0.0, float(volume.voxels.min()))
    return Preparation(
        spec=spec,
        hanging=hanging,
        hung=(int(hung[0]), int(hung[1])),
        grid=grid,
        padded=(
            -(-grid[0] // spec.multiple) * spec.multiple,
            -(-grid[1] // spec.multiple) * spec.multiple,
        ),
        evaluable=bright > spec.empty_fraction * bright.max(initial=0.0),
    )
