"""Whether two registered volumes show the same piece of the same patient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from node.compare.coarse import CoarseImage

LEAST_CORRELATION = 0.6
"""Heads of different patients reach 0.55, those of one patient on one scanner 0.9 and more."""
LEAST_OVERLAP = 0.25
MOST_ROTATION_DEGREES = 60.0


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How well two volumes lie on each other; see ``Registration``."""

    is_good: bool
    told: str
    correlation: float
    overlap: float
    rotation_degrees: float


def judge_likeness(
    fixed: CoarseImage, moving: CoarseImage, matrix: NDArray[np.float64]
) -> Likeness:
    """Judge a map from the fixed to the moving image.

    Correlation is taken over the body of the fixed image, as far as the moving one shows it: the
    dark around the body fits always.
    """
    inverse = np.linalg.inv(moving.geometry.affine[:, :3])
    mapping = inverse @ matrix[:, :3] @ fixed.geometry.affine[:, :3]
    shift = matrix[:, :3] @ fixed.geometry.affine[:, 3] + matrix[:, 3]
    offset = inverse @ (shift - moving.geometry.affine[:, 3])
    moved = ndimage.affine_transform(
        moving.voxels, mapping, offset, output_shape=fixed.voxels.shape, order=1, mode="nearest"
    )
    shown = ndimage.affine_transform(
        moving.covered.astype(np.float32),
        mapping,
        offset,
        output_shape=fixed.voxels.shape,
        order=1,
        mode="constant",
    )
    body = _body(fixed)
    both = body & (shown > 0.5)
    smaller = min(int(body.sum()), int(_body(moving).sum() * _ratio(moving, fixed)))
    overlap = min(1.0, both.sum() / smaller) if smaller else 0.0
    correlation = _correlate(fixed.voxels[both], moved[both])
    rotation = _angle(matrix[:, :3])
    faults = []
    if overlap < LEAST_OVERLAP:
        faults.append(f"they share only {overlap:.0%} of the body")
    if correlation < LEAST_CORRELATION:
        faults.append(f"intensities correlate by {correlation:.2f} only")
    if rotation > MOST_ROTATION_DEGREES:
        faults.append(f"they would be turned by {rotation:.0f} degrees")
    told = f"correlation {correlation:.2f} over {overlap:.0%} of the body"
    return Likeness(
        is_good=not faults,
        told=f"the images could not be registered: {', '.join(faults)}" if faults else told,
        correlation=correlation,
        overlap=float(overlap),
        rotation_degrees=rotation,
    )


def _body(image: CoarseImage) -> NDArray[np.bool_]:
    inside = image.voxels[image.covered]
    if inside.size == 0 or inside.min() == inside.max():
        return image.covered
    return image.covered & (image.voxels > threshold_otsu(inside))


def _ratio(moving: CoarseImage, fixed: CoarseImage) -> float:
    return moving.geometry.voxel_volume_mm3 / fixed.geometry.voxel_volume_mm3


def _correlate(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    if first.size < 2 or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first.astype(float), second.astype(float))[0, 1])


def _angle(rotation: NDArray[np.float64]) -> float:
    cosine = np.clip((np.trace(rotation) - 1) / 2, -1, 1)
    return float(np.degrees(np.arccos(cosine)))
