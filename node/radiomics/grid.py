"""Resampling to a fixed spacing, as IBSI describes it.

The new grid shares its centre with that of the image, so it depends on neither mask nor crop.
Image: cubic B-spline or linear. Mask: linear, and a voxel belongs to the lesion when half of it
does.

References
----------
Zwanenburg et al., Image Biomarker Standardisation Initiative reference manual,
arXiv:1612.07003, section "Interpolation" (VTM2).
"""

from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

#: Voxels of the source beyond the part that is wanted: a cubic B-spline's coefficients fall by
#: 0.27 a voxel, so that those outside weigh less than 1e-6.
SPLINE_REACH = 11
#: Interpolated masks are sums of eight products: a half may come out as a little less.
ROUNDING = 1e-6

Pair = tuple[sitk.Image, sitk.Image]


def resample_region(
    image: sitk.Image,
    mask: sitk.Image,
    *,
    spacing_mm: tuple[float, float, float],
    margin: tuple[int, int, int],
    interpolator: int = sitk.sitkBSpline,
) -> Pair:
    """Cut out the lesion with a margin, on a grid of the given spacing.

    Parameters
    ----------
    image, mask : sitk.Image
        On one grid, axis-aligned with its first voxel at the origin; the mask is 0 or 1 and not
        empty.
    spacing_mm : tuple of float
        Along x, y, z; 0 leaves an axis as it is.
    margin : tuple of int
        Voxels of the new grid, along x, y, z, where the image reaches so far.
    interpolator : int
        SimpleITK's, for the image.

    Returns
    -------
    image : sitk.Image of float64
    mask : sitk.Image of uint32
        May be empty, where a lesion is thinner than half a voxel of the new grid.
    """
    old_mm = np.array(image.GetSpacing())
    wanted_mm = np.array(spacing_mm, float)
    new_mm = np.where(wanted_mm > 0, wanted_mm, old_mm)
    size = np.array(image.GetSize())
    new_size = np.ceil(size * old_mm / new_mm - ROUNDING).astype(int)
    first_mm = ((size - 1) * old_mm - (new_size - 1) * new_mm) / 2
    low, up = _bounds(mask)
    new_low = np.floor(((low - 0.5) * old_mm - first_mm) / new_mm).astype(int) - margin
    new_up = np.ceil(((up + 0.5) * old_mm - first_mm) / new_mm).astype(int) + margin
    new_low, new_up = np.maximum(new_low, 0), np.minimum(new_up, new_size - 1)
    origin_mm = first_mm + new_low * new_mm
    end_mm = first_mm + new_up * new_mm
    image, mask = sitk.Cast(image, sitk.sitkFloat64), sitk.Cast(mask, sitk.sitkUInt32)
    if np.allclose(old_mm, new_mm):
        return _cut(image, new_low, new_up), _cut(mask, new_low, new_up)
    source_low = np.maximum(np.floor(origin_mm / old_mm).astype(int) - SPLINE_REACH, 0)
    source_up = np.minimum(np.ceil(end_mm / old_mm).astype(int) + SPLINE_REACH, size - 1)
    resample = sitk.ResampleImageFilter()
    resample.SetOutputSpacing(new_mm.tolist())
    resample.SetOutputOrigin(origin_mm.tolist())
    resample.SetSize((new_up - new_low + 1).tolist())
    resample.SetInterpolator(interpolator)
    resampled = resample.Execute(_cut(image, source_low, source_up))
    resample.SetInterpolator(sitk.sitkLinear)
    share = resample.Execute(sitk.Cast(_cut(mask, source_low, source_up), sitk.sitkFloat64))
    return resampled, sitk.Cast(share >= 0.5 - ROUNDING, sitk.sitkUInt32)


def _bounds(mask: sitk.Image) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(sitk.Cast(mask, sitk.sitkUInt32))
    box = np.array(shape.GetBoundingBox(1))
    return box[:3], box[:3] + box[3:] - 1


def _cut(image: sitk.Image, low: NDArray[Any], up: NDArray[Any]) -> sitk.Image:
    return sitk.RegionOfInterest(image, (up - low + 1).tolist(), low.tolist())
