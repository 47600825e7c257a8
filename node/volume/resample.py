"""Voxels on other grids, and the way to and from SimpleITK.

SimpleITK, too, places index (x, y, z) in LPS millimetres, so only the order of the axes differs.
Tools that look at spacing alone (PyRadiomics) measure a sheared grid wrongly; therefore
``to_simpleitk`` refuses it, while ``resample_to`` maps it exactly.
"""

from typing import Any, Literal

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from node.domain.geometry import Geometry, Vector
from node.domain.volume import Volume
from node.volume.grids import grid_with_spacing, is_sheared

Interpolation = Literal["linear", "nearest"]
_NEW_RESAMPLER: Any = SimpleITK.ResampleImageFilter
_INTERPOLATORS = {"linear": SimpleITK.sitkLinear, "nearest": SimpleITK.sitkNearestNeighbor}


def to_simpleitk(volume: Volume) -> Any:
    """Return the volume as a SimpleITK image.

    Raises
    ------
    ValueError
        If the grid is sheared.
    """
    return array_to_simpleitk(volume.voxels, volume.geometry)


def array_to_simpleitk(array: NDArray[Any], geometry: Geometry) -> Any:
    """Return an array on a grid, e.g. a mask, as a SimpleITK image.

    Raises
    ------
    ValueError
        If the grid is sheared, or the array has another shape.
    """
    if is_sheared(geometry):
        raise ValueError(
            "the grid is sheared (tilted gantry): resample it to grid_with_spacing(...) first"
        )
    return _image(array, geometry)


def from_simpleitk(image: Any) -> tuple[NDArray[Any], Geometry]:
    """Return array, shape (z, y, x), and grid of a three-dimensional SimpleITK image."""
    array: NDArray[Any] = SimpleITK.GetArrayFromImage(image)
    axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    geometry = Geometry.from_axes(
        origin_mm=image.GetOrigin(),
        slice_step_mm=axes[:, 2],
        row_step_mm=axes[:, 1],
        column_step_mm=axes[:, 0],
        shape=array.shape,
    )
    return array, geometry


def resample_to(
    array: NDArray[Any],
    source: Geometry,
    target: Geometry,
    *,
    interpolation: Interpolation,
    fill: float = 0.0,
) -> NDArray[Any]:
    """Interpolate an array on another grid; either may be sheared.

    Parameters
    ----------
    array : ndarray, shape (z, y, x)
        Values on ``source``.
    source, target : Geometry
    interpolation : str
        ``"linear"`` gives float32; ``"nearest"`` keeps the type and is for labels.
    fill : float
        Value outside the source grid (its edge voxels reach half a voxel outwards).

    Returns
    -------
    ndarray
        Of the target's shape. No smoothing is done before a coarser grid is sampled.
    """
    image = _image(array, source)
    z_mm, y_mm, x_mm = target.spacing_mm
    resampler = _NEW_RESAMPLER()
    resampler.SetSize(target.shape[::-1])
    resampler.SetOutputSpacing((x_mm, y_mm, z_mm))
    resampler.SetOutputOrigin(target.origin_mm)
    resampler.SetOutputDirection(_direction(target))
    resampler.SetInterpolator(_INTERPOLATORS[interpolation])
    resampler.SetDefaultPixelValue(float(fill))
    if interpolation == "linear":
        resampler.SetOutputPixelType(SimpleITK.sitkFloat32)
    else:
        resampler.SetOutputPixelType(image.GetPixelID())
    out: NDArray[Any] = SimpleITK.GetArrayFromImage(resampler.Execute(image))
    return out


def resample_volume(
    volume: Volume, spacing_mm: Vector, *, fill: float = 0.0
) -> tuple[NDArray[np.float32], Geometry]:
    """Interpolate a volume linearly on a grid of right angles with the wanted spacing (z, y, x)."""
    target = grid_with_spacing(volume.geometry, spacing_mm)
    values = resample_to(volume.voxels, volume.geometry, target, interpolation="linear", fill=fill)
    return values, target


def resample_labels(labels: NDArray[Any], source: Geometry, target: Geometry) -> NDArray[Any]:
    """Carry labels to another grid by the nearest voxel; 0 outside."""
    return resample_to(labels, source, target, interpolation="nearest")


def _image(array: NDArray[Any], geometry: Geometry) -> Any:
    if array.shape != geometry.shape:
        raise ValueError(f"array of shape {array.shape} on a grid of {geometry.shape}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    z_mm, y_mm, x_mm = geometry.spacing_mm
    image: Any = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((x_mm, y_mm, z_mm))
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(_direction(geometry))
    return image


def _direction(geometry: Geometry) -> list[float]:
    """Axes x, y, z as the columns of a row-major matrix."""
    return [float(cosine) for cosine in geometry.direction[:, ::-1].ravel()]
