"""From labelled nodules to training pairs, by the code that serves."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.segment.nodule_patches import (
    NoduleInputSpec,
    mirror_in_depth,
    prepare_mask,
    prepare_patches,
)
from node.training.batches import TrainingPair
from node.training.datasets.labelled import LabelledCase

Point = NDArray[np.float64]

#: Points beside a nodule lie at least this far from its surface.
BESIDE_MM = 5.0


def prepare_nodule_pairs(
    cases: Sequence[LabelledCase],
    spec: NoduleInputSpec,
    rng: np.random.Generator,
    *,
    jitter_mm: float = 1.0,
    copies: int = 1,
    beside_share: float = 0.25,
) -> list[TrainingPair]:
    """Cut patches round points as a reader would set them, one pair for each slice in reach.

    Points lie between the centroid and a random voxel of the mask, plus jitter, so that
    the network learns to find the nodule and not the middle of its image. Every second copy is
    seen from the other end of the slice axis. Points beside a nodule teach that there may be
    nothing.

    Parameters
    ----------
    cases : sequence of LabelledCase
        With ``point_lps_mm`` and a mask.
    spec : NoduleInputSpec
    rng : numpy.random.Generator
    jitter_mm : float
        Standard deviation along each axis. With 0 the points are the cases' own (validation).
    copies : int
        Points for each nodule.
    beside_share : float
        Points beside nodules, as a share of the others; their masks are empty.

    Returns
    -------
    list of TrainingPair
        Images of 4 channels, see ``node.segment.nodule_patches.prepare_patches``; also those of
        slices without nodule.
    """
    pairs: list[TrainingPair] = []
    for case in cases:
        for copy in range(copies):
            pairs += _cut(case, draw_point(case, rng, jitter_mm), spec, upside_down=copy % 2 == 1)
        count = int(rng.poisson(beside_share * copies)) if jitter_mm else 0
        for point in draw_points_beside(case, rng, count):
            pairs += _cut(case, point, spec, upside_down=False, empty=True)
    return pairs


def draw_point(case: LabelledCase, rng: np.random.Generator, jitter_mm: float) -> Point:
    """Draw a point in or next to the nodule; its own point without jitter."""
    assert case.point_lps_mm is not None
    middle = np.asarray(case.point_lps_mm)
    if not jitter_mm:
        return middle
    voxels = np.argwhere(case.mask)
    anywhere = case.volume.geometry.to_lps(voxels[rng.integers(len(voxels))])
    point = middle + np.sqrt(rng.random()) * (anywhere - middle) + rng.normal(0, jitter_mm, 3)
    return _keep_inside(case, point)


def draw_points_beside(case: LabelledCase, rng: np.random.Generator, count: int) -> list[Point]:
    """Draw points at least ``BESIDE_MM`` from the nodule; fewer where there is no room."""
    if not count:
        return []
    away_mm = ndimage.distance_transform_edt(~case.mask, sampling=case.volume.geometry.spacing_mm)
    places = np.argwhere(away_mm >= BESIDE_MM)
    chosen = places[rng.choice(len(places), min(count, len(places)), replace=False)]
    return list(case.volume.geometry.to_lps(chosen))


def _keep_inside(case: LabelledCase, point: Point) -> Point:
    geometry = case.volume.geometry
    return geometry.to_lps(np.clip(geometry.to_index(point), 0, np.array(geometry.shape) - 1))


def _cut(
    case: LabelledCase,
    point: Point,
    spec: NoduleInputSpec,
    *,
    upside_down: bool,
    empty: bool = False,
) -> Iterable[TrainingPair]:
    patches = prepare_patches(case.volume, point, spec)
    images = mirror_in_depth(patches.images) if upside_down else patches.images
    masks = prepare_mask(np.zeros_like(case.mask) if empty else case.mask, patches.placement)
    return (TrainingPair(image=image, mask=mask) for image, mask in zip(images, masks, strict=True))
