"""Features of a lesion that need no radiomics package: the control group of the 237.

Size, shape, brightness and contrast, as a reader would name them. They are measured in the plane
of the largest slice where the volume is a single slice, else in space.

References
----------
Compactness is the sphericity of IBSI (QCFX, arXiv:1612.07003); area and surface are those of
the voxel faces, so that their values differ from those of a mesh by a factor.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.domain.intensity import normalise_over_tissue
from node.domain.volume import Volume

#: Width of the rim of healthy tissue that a lesion is compared with.
RIM_MM = 5.0

HANDMADE: tuple[str, ...] = (
    "log_size",
    "surface_to_size",
    "compactness",
    "axis_ratio_middle",
    "axis_ratio_least",
    "extent_in_box",
    "mean",
    "deviation",
    "percentile_10",
    "median",
    "percentile_90",
    "skewness",
    "contrast_to_rim",
    "rim_deviation",
    "border_gradient",
)


def measure_handmade(volume: Volume, mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Measure one lesion.

    Parameters
    ----------
    volume : Volume
        CT in HU; slices of other modalities are scaled to zero mean and unit deviation of tissue.
    mask : ndarray of bool, shape (z, y, x)

    Returns
    -------
    ndarray of float64, shape (15,)
        In the order of ``HANDMADE``; NaN where a feature is undefined (e.g. an empty mask).
    """
    values = dict.fromkeys(HANDMADE, float("nan"))
    if mask.any():
        crop = _crop(mask, volume.geometry.spacing_mm)
        image = _scale(volume)[crop]
        values.update(_shape(mask[crop], volume.geometry.spacing_mm))
        values.update(_brightness(image, mask[crop], volume.geometry.spacing_mm))
    return np.array([values[name] for name in HANDMADE])


def _crop(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> tuple[slice, ...]:
    """Box of the mask with room for the rim: all that is measured lies in it."""
    room = [int(np.ceil(RIM_MM / step)) + 1 for step in spacing_mm]
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(
        slice(max(0, part.start - more), part.stop + more)
        for part, more in zip(box, room, strict=True)
    )


def _scale(volume: Volume) -> NDArray[np.float32]:
    voxels = volume.voxels.astype(np.float32)
    if volume.modality == "CT":
        return voxels
    voxels -= min(0.0, float(voxels.min()))
    planes = [normalise_over_tissue(plane, foreground_fraction=0.08) for plane in voxels]
    return np.stack(
        [np.zeros_like(v) if p is None else p for p, v in zip(planes, voxels, strict=True)]
    )


def _shape(mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> dict[str, float]:
    planar = mask.shape[0] == 1
    axes = (1, 2) if planar else (0, 1, 2)
    steps = np.array([spacing_mm[axis] for axis in axes])
    size = float(mask.sum() * steps.prod())
    padded = np.pad(mask, 1)
    surface = sum(
        float(np.abs(np.diff(padded.astype(np.int8), axis=axis)).sum() * np.delete(steps, i).prod())
        for i, axis in enumerate(axes)
    )
    round_one = 2 * np.sqrt(np.pi * size) if planar else (36 * np.pi * size**2) ** (1 / 3)
    places = np.argwhere(mask)[:, axes] * steps
    # A voxel has an extent of its own: without it a flat lesion would have an axis of no length.
    spread = np.atleast_2d(np.cov(places.T, bias=True)) + np.diag(steps**2 / 12)
    lengths = np.sqrt(np.linalg.eigvalsh(spread))[::-1]
    box = (np.ptp(places, axis=0) + steps).prod()
    return {
        "log_size": float(np.log(size)),
        "surface_to_size": surface / size,
        "compactness": round_one / surface,
        "axis_ratio_middle": float(lengths[1] / lengths[0]),
        "axis_ratio_least": float(lengths[-1] / lengths[0]),
        "extent_in_box": size / float(box),
    }


def _brightness(
    image: NDArray[np.float32], mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> dict[str, float]:
    inside = image[mask].astype(np.float64)
    deviation = float(inside.std())
    distance_mm = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    rim = image[(distance_mm > 0) & (distance_mm <= RIM_MM)].astype(np.float64)
    border = mask & ~ndimage.binary_erosion(mask, _neighbours(image))
    low, middle, high = np.percentile(inside, [10, 50, 90])
    return {
        "mean": float(inside.mean()),
        "deviation": deviation,
        "percentile_10": float(low),
        "median": float(middle),
        "percentile_90": float(high),
        "skewness": float(((inside - inside.mean()) ** 3).mean() / deviation**3)
        if deviation > 1e-9
        else 0.0,
        "contrast_to_rim": float(inside.mean() - rim.mean()) if rim.size else float("nan"),
        "rim_deviation": float(rim.std()) if rim.size else float("nan"),
        "border_gradient": float(_gradient(image, spacing_mm)[border].mean()),
    }


def _neighbours(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Face neighbours; those of the plane only in a single slice."""
    cross = ndimage.generate_binary_structure(3, 1)
    if image.shape[0] == 1:
        cross[[0, 2]] = False
    return np.asarray(cross)


def _gradient(
    image: NDArray[np.float32], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """Magnitude of the gradient per mm; an axis of one voxel has none."""
    squares = [
        np.gradient(image.astype(np.float64), step, axis=axis) ** 2
        for axis, step in enumerate(spacing_mm)
        if image.shape[axis] > 1
    ]
    return np.asarray(np.sqrt(np.sum(squares, axis=0)))
