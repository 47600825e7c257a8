"""Perturb an image and the mask of a lesion as another scan and another reader would.

The chain is that of Zwanenburg et al.: noise, rotation and translation in one interpolation,
volume adaptation, contour randomisation. The ranges are those of ``Perturbation``.

References
----------
Zwanenburg et al., Sci Rep 9:614, 2019, doi:10.1038/s41598-018-36938-4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.evaluation.contours import change_volume, keep_largest, randomise_contour
from node.evaluation.grain import draw_grain, estimate_grain

#: The noise is estimated, and contours are drawn, within this distance of the lesion.
MARGIN_MM = 25.0

Spacing = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """How far each step may go; every amount is drawn evenly up to it, to both sides.

    Parameters
    ----------
    rotation_deg : float
        In the plane of the slices, about the centre of the lesion.
    translation_pixels : float
        Along every axis, in pixels of a slice (so at most that many millimetres across slices).
    noise : float
        Deviation of the noise that is added, as a multiple of the noise estimated near the
        lesion.
    volume_fraction : float
    contour : bool
        Whether the contour follows random supervoxels.
    """

    rotation_deg: float = 6.0
    translation_pixels: float = 0.5
    noise: float = 1.0
    volume_fraction: float = 0.15
    contour: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Version:
    """One perturbed version of a lesion.

    Parameters
    ----------
    voxels : ndarray of float32, shape (z, y, x)
    mask : ndarray of bool, shape (z, y, x)
        In one piece, never empty.
    moved_mask : ndarray of bool, shape (z, y, x)
        The given contour where the lesion now lies; ``mask`` is a redrawn one.
    """

    voxels: NDArray[np.float32]
    mask: NDArray[np.bool_]
    moved_mask: NDArray[np.bool_]


def perturb(
    voxels: NDArray[Any],
    mask: NDArray[np.bool_],
    *,
    spacing_mm: Spacing,
    perturbation: Perturbation,
    rng: np.random.Generator,
) -> Version:
    """Draw one perturbed version.

    Parameters
    ----------
    voxels, mask : ndarray, shape (z, y, x)
        The mask must not be empty.
    spacing_mm : tuple of float
        Between slices, rows and columns.
    perturbation : Perturbation
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        If the mask is empty.
    """
    if not mask.any():
        raise ValueError("the mask is empty")
    image = np.asarray(voxels, np.float32)
    if perturbation.noise:
        levels = estimate_grain(image[_box_around(mask, spacing_mm)])
        levels = tuple(perturbation.noise * level for level in levels)
        image = image + draw_grain(image.shape, levels, rng)
    image, moved = _move(image, mask, spacing_mm, perturbation, rng)
    drawn = _redraw(image, moved, spacing_mm, perturbation, rng)
    return Version(voxels=image, mask=drawn, moved_mask=moved)


def _box_around(mask: NDArray[np.bool_], spacing_mm: Spacing) -> tuple[slice, ...]:
    """Bounding box of the mask, widened by the margin; of thick slices only those of the mask."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    margins = [int(MARGIN_MM / spacing) for spacing in spacing_mm]
    return tuple(
        slice(max(0, part.start - margin), part.stop + margin)
        for part, margin in zip(box, margins, strict=True)
    )


def _move(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing_mm: Spacing,
    perturbation: Perturbation,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    angle = np.deg2rad(rng.uniform(-1, 1) * perturbation.rotation_deg)
    limit_mm = perturbation.translation_pixels * min(spacing_mm[1:])
    shift = rng.uniform(-limit_mm, limit_mm, 3) / spacing_mm
    if not (angle or shift.any()):
        return image, mask
    _, row_mm, column_mm = spacing_mm
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = np.eye(3)
    matrix[1:, 1:] = [
        [cosine, -sine * column_mm / row_mm],
        [sine * row_mm / column_mm, cosine],
    ]
    centre = np.argwhere(mask).mean(axis=0)
    offset = centre + shift - matrix @ centre
    axes = slice(1, 3) if len(mask) == 1 else slice(0, 3)  # a single slice moves in its plane

    def resample(block: NDArray[np.float32], order: int) -> NDArray[np.float32]:
        moved = ndimage.affine_transform(
            block[0] if len(block) == 1 else block,
            matrix[axes, axes],
            offset[axes],
            order=order,
            mode="nearest",
        )
        return moved.reshape(block.shape)

    share = resample(mask.astype(np.float32), 1)
    # Half a voxel counts; a lesion of a few voxels may have none, and keeps its fullest one.
    return resample(image, 3), share >= np.clip(share.max(), 1e-6, 0.5)


def _redraw(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing_mm: Spacing,
    perturbation: Perturbation,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Draw other contours near the lesion, in the plane if there is but one slice."""
    near = _box_around(mask, spacing_mm)
    window, drawn, spacing = image[near], mask[near], tuple(spacing_mm)
    if len(mask) == 1:
        window, drawn, spacing = window[0], drawn[0], spacing[1:]
    growth = rng.uniform(-1, 1) * perturbation.volume_fraction
    if growth:
        drawn = change_volume(drawn, growth, spacing_mm=spacing, rng=rng)
    if perturbation.contour:
        drawn = randomise_contour(window, drawn, spacing_mm=spacing, rng=rng)
    result = np.zeros_like(mask)
    result[near] = keep_largest(drawn)
    return result
