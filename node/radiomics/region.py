"""A lesion with the surroundings that filters need, on the grid on which features are computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Image and mask of one lesion.

    Parameters
    ----------
    image : sitk.Image
        Intensities, three axes, with a margin round the lesion where the image has one.
    mask : sitk.Image of uint32
        1 in the lesion; on the same grid.
    box : ndarray of int, shape (6,)
        First and last index of the lesion along x, y and z: x_low, x_up, y_low ...
    planar : bool
        Whether it is a single slice, to be treated in two dimensions.
    """

    image: sitk.Image
    mask: sitk.Image
    box: NDArray[np.int_]
    planar: bool

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the image."""
        x, y, z = self.image.GetSize()
        return z, y, x

    @property
    def lesion_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the lesion's box."""
        x, y, z = (int(n) for n in self.box[1::2] - self.box[::2] + 1)
        return z, y, x

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances of slices, rows and columns."""
        x, y, z = self.image.GetSpacing()
        return z, y, x

    def trim(self, margin_mm: float) -> "Region":
        """Cut the margin down, for filters that need no more; at least four voxels stay.

        A planar region keeps its slice.
        """
        size = np.array(self.image.GetSize())
        margin = np.maximum(np.ceil(margin_mm / np.array(self.image.GetSpacing())), 4).astype(int)
        low = np.maximum(self.box[::2] - margin, 0)
        up = np.minimum(self.box[1::2] + margin, size - 1)
        window = (up - low + 1).tolist(), low.tolist()
        return Region(
            image=sitk.RegionOfInterest(self.image, *window),
            mask=sitk.RegionOfInterest(self.mask, *window),
            box=self.box - np.repeat(low, 2),
            planar=self.planar,
        )

    def crop(self, image: sitk.Image) -> sitk.Image:
        """Cut an image on the region's grid down to the lesion's box."""
        low, up = self.box[::2].tolist(), self.box[1::2].tolist()
        return sitk.RegionOfInterest(
            image, [last - first + 1 for first, last in zip(low, up, strict=True)], low
        )

    def like_box(self, voxels: NDArray[Any]) -> sitk.Image:
        """Make an image of voxels (z, y, x) that fill the lesion's box."""
        image = sitk.GetImageFromArray(np.asarray(voxels, np.float64))
        image.CopyInformation(self.crop(self.mask))
        return image

    def like_image(self, voxels: NDArray[Any]) -> sitk.Image:
        """Make an image of voxels (z, y, x) on the region's grid."""
        image = sitk.GetImageFromArray(np.asarray(voxels, np.float64))
        image.CopyInformation(self.image)
        return image
