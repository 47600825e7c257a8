"""Resampling to a fixed spacing, as IBSI describes it.

The new grid shares its centre with that of the image, so it depends on neither mask nor crop.
Image: cubic B-spline or linear. Mask: linear, and a voxel belongs to the lesion when half of it
does.

References
----------
Zwanenburg et al., Image Biomarker Standardisation Initiative reference manual,
arXiv:1612.07003, section "Interpolation" (VTM2).
"""

import numpy as np
import SimpleITK as sitk
from numpy.typing import ArrayLike, NDArray

#: Voxels of the source beyond the part that is wanted: a cubic B-spline's coefficients fall by
#: 0.27 a voxel, so that those outside weigh less than 1e-6.
SPLINE_REACH = 11
#: Interpolated masks are sums of eight products: a half may come out as a little less.
ROUNDING = 1e-6

Triple = tuple[float, float, float]


def resample_region(
    voxels: NDArray[np.generic],
    mask: NDArray[np.bool_],
    *,
    source_mm: Triple,
    spacing_mm: Triple,
    margin: tuple[int, int, int],
    interpolator: int = sitk.sitkBSpline,
) -> tuple[sitk.Image, sitk.Image]:
    """Cut out the lesion with a margin, on a grid of the given spacing.

    Parameters
    ----------
    voxels : ndarray, shape (z, y, x)
    mask : ndarray of bool, shape (z, y, x)
        Not empty.
    source_mm : tuple of float
        Distances of slices, rows and columns.
    spacing_mm : tuple of float
        Those that are wanted; 0 leaves an axis as it is.
    margin : tuple of int
        Slices, rows and columns of the new grid round the lesion, where the image reaches so far.
    interpolator : int
        SimpleITK's, for the image.

    Returns
    -------
    image : sitk.Image of float64
        Its origin counts in mm from the first voxel of the source.
    mask : sitk.Image of uint32
        On the same grid; may be empty, where a lesion is thinner than half a voxel of it.
    """
    old_mm, wanted_mm = np.array(source_mm, float), np.array(spacing_mm, float)
    new_mm = np.where(wanted_mm > 0, wanted_mm, old_mm)
    size = np.array(voxels.shape)
    new_size = np.ceil(size * old_mm / new_mm - ROUNDING).astype(int)
    first_mm = ((size - 1) * old_mm - (new_size - 1) * new_mm) / 2
    low, up = find_box(mask)
    new_low = np.floor(((low - 0.5) * old_mm - first_mm) / new_mm).astype(int) - margin
    new_up = np.ceil(((up + 0.5) * old_mm - first_mm) / new_mm).astype(int) + margin
    new_low, new_up = np.maximum(new_low, 0), np.minimum(new_up, new_size - 1)
    if np.allclose(old_mm, new_mm):
        return (
            _cut(voxels, new_low, new_up, old_mm, sitk.sitkFloat64),
            _cut(mask, new_low, new_up, old_mm, sitk.sitkUInt32),
        )
    origin_mm, end_mm = first_mm + new_low * new_mm, first_mm + new_up * new_mm
    source_low = np.maximum(np.floor(origin_mm / old_mm).astype(int) - SPLINE_REACH, 0)
    source_up = np.minimum(np.ceil(end_mm / old_mm).astype(int) + SPLINE_REACH, size - 1)
    resample = sitk.ResampleImageFilter()
    resample.SetOutputSpacing(new_mm[::-1].tolist())
    resample.SetOutputOrigin(origin_mm[::-1].tolist())
    resample.SetSize((new_up - new_low + 1)[::-1].tolist())
    resample.SetInterpolator(interpolator)
    image = resample.Execute(
        _repeat_pairs(_cut(voxels, source_low, source_up, old_mm, sitk.sitkFloat64))
    )
    resample.SetInterpolator(sitk.sitkLinear)
    share = resample.Execute(_cut(mask, source_low, source_up, old_mm, sitk.sitkFloat64))
    return image, sitk.Cast(share >= 0.5 - ROUNDING, sitk.sitkUInt32)


def _repeat_pairs(image: sitk.Image) -> sitk.Image:
    """Continue axes of two samples by one at both ends.

    ITK's B-spline mirrors an image at its end samples, but of two it reads memory beyond them.
    Mirrored like that, a pair is a signal of period two: continued beforehand it is the same.
    """
    pair = [1 if size == 2 else 0 for size in image.GetSize()]
    return sitk.WrapPad(image, pair, pair) if any(pair) else image


def find_box(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """First and last index of a mask along every axis."""
    filled = [
        np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        for axis in range(mask.ndim)
    ]
    return np.array([each[0] for each in filled]), np.array([each[-1] for each in filled])


def _cut(
    voxels: NDArray[np.generic],
    low: NDArray[np.int_],
    up: NDArray[np.int_],
    spacing_mm: ArrayLike,
    pixel_type: int,
) -> sitk.Image:
    """Only what is cut out is copied: the volume may be a whole patient."""
    window = tuple(slice(first, last + 1) for first, last in zip(low, up, strict=True))
    part = voxels[window]
    image = sitk.Cast(
        sitk.GetImageFromArray(part.astype(np.uint8) if part.dtype == bool else part), pixel_type
    )
    spacing = np.asarray(spacing_mm, float)
    image.SetSpacing(spacing[::-1].tolist())
    image.SetOrigin((low * spacing)[::-1].tolist())
    return image
