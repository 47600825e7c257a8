"""Volumes on coarse isotropic grids along the axes of the patient, for registration only."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import downscale_local_mean

from node.domain.geometry import Geometry
from node.domain.volume import Volume

SPACING_MM = 2.0
MAXIMUM_VOXELS = 2_000_000
_AXES = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
"""Steps of the grid's slices, rows and columns: z, y, x of the patient."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CoarseImage:
    """A volume, ready to be registered.

    Parameters
    ----------
    image : SimpleITK.Image
        Float32, identity direction.
    inside : SimpleITK.Image
        1 where the volume was imaged.
    voxels, covered : ndarray, shape (z, y, x)
        The same as arrays.
    geometry : Geometry
    """

    image: Any
    inside: Any
    voxels: NDArray[np.float32]
    covered: NDArray[np.bool_]
    geometry: Geometry

    @property
    def middle_mm(self) -> NDArray[np.float64]:
        """Middle of what was imaged, LPS."""
        return self.geometry.to_lps((np.array(self.geometry.shape) - 1) / 2)

    @property
    def mass_centre_mm(self) -> NDArray[np.float64]:
        """Middle of the intensities above the darkest, LPS."""
        weights = np.where(self.covered, self.voxels - self.voxels[self.covered].min(), 0)
        return self.geometry.to_lps(ndimage.center_of_mass(weights))


def coarsen(volume: Volume) -> CoarseImage:
    """Average a volume down and put it on a grid along the patient's axes, linearly.

    The brightest 0.5 % are cut off: metal and vessels would fill the histogram of the metric.
    """
    voxels, geometry = _average(volume)
    ends = np.meshgrid(*[[0, count - 1] for count in geometry.shape])
    corners = geometry.to_lps(np.array(ends).reshape(3, -1).T)
    low, high = corners.min(axis=0), corners.max(axis=0)
    spacing = max(SPACING_MM, float((np.prod(high - low + SPACING_MM) / MAXIMUM_VOXELS) ** (1 / 3)))
    counts = np.maximum(np.ceil((high - low) / spacing).astype(int) + 1, 4)
    # the grid is centred on the volume; x, y, z -> z, y, x
    start = (low + high) / 2 - (counts - 1) * spacing / 2
    grid = Geometry(
        affine=np.column_stack([_AXES.T * spacing, start]), shape=tuple(counts[::-1].tolist())
    )
    inverse = np.linalg.inv(geometry.affine[:, :3])
    mapping = inverse @ grid.affine[:, :3]
    offset = inverse @ (grid.affine[:, 3] - geometry.affine[:, 3])
    placed = ndimage.affine_transform(
        voxels, mapping, offset, output_shape=grid.shape, order=1, mode="nearest"
    )
    covered = _covered(grid, mapping, offset, geometry.shape)
    bright = float(np.percentile(placed[covered], 99.5))
    placed = np.where(covered, np.minimum(placed, bright), placed.min()).astype(np.float32)
    return CoarseImage(
        image=_as_image(placed, grid),
        inside=_as_image(covered.astype(np.uint8), grid),
        voxels=placed,
        covered=covered,
        geometry=grid,
    )


def _average(volume: Volume) -> tuple[NDArray[np.float32], Geometry]:
    """Take means over blocks, as many voxels as fit into the coarse spacing along each axis."""
    blocks = [
        max(1, min(int(SPACING_MM / step), count))
        for step, count in zip(volume.geometry.spacing_mm, volume.voxels.shape, strict=True)
    ]
    whole = zip(volume.voxels.shape, blocks, strict=True)
    cut = volume.voxels[tuple(slice(count // block * block) for count, block in whole)]
    averaged = cut if max(blocks) == 1 else downscale_local_mean(cut, tuple(blocks))
    affine = volume.geometry.affine.copy()
    affine[:, 3] += affine[:, :3] @ ((np.array(blocks) - 1) / 2)
    affine[:, :3] *= blocks
    return np.asarray(averaged, np.float32), Geometry(affine=affine, shape=averaged.shape)


def _covered(
    grid: Geometry,
    mapping: NDArray[np.float64],
    offset: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Tell which voxels of a grid lie in a volume of that shape, half a voxel beyond included."""
    covered = np.ones(grid.shape, bool)
    axes = [np.arange(count, dtype=float) for count in grid.shape]
    for row, start, count in zip(mapping, offset, shape, strict=True):
        index = (
            start
            + row[0] * axes[0][:, None, None]
            + row[1] * axes[1][None, :, None]
            + row[2] * axes[2][None, None, :]
        )
        covered &= (index >= -0.5) & (index <= count - 0.5)
    return covered


def _as_image(array: NDArray[Any], geometry: Geometry) -> Any:
    image: Any = SimpleITK.GetImageFromArray(array)
    image.SetSpacing([float(value) for value in geometry.spacing_mm[::-1]])
    image.SetOrigin([float(value) for value in geometry.origin_mm])
    return image
