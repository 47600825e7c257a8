"""From labelled nodules to training pairs and feature rows, by the code that serves."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import structlog
from numpy.typing import NDArray
from rich.progress import track
from scipy import ndimage

from node.domain.prompt import Prompt
from node.domain.segmentation import Segmentation
from node.evaluation.overlap import measure_dice
from node.radiomics.extract import Extractor
from node.segment.lesions import LesionSpec
from node.segment.nodule import NoduleNetwork, find_nodules
from node.segment.nodule_patches import (
    NoduleInputSpec,
    mirror_in_depth,
    prepare_mask,
    prepare_patches,
)
from node.training.batches import TrainingPair
from node.training.datasets.labelled import LabelledCase
from node.training.feature_table import FeatureTable
from node.training.handmade import HANDMADE, measure_handmade

log = structlog.get_logger()

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

    Points lie anywhere between the centroid and a random voxel of the mask, plus jitter, so that
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
    point = middle + rng.random() * (anywhere - middle) + rng.normal(0, jitter_mm, 3)
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


def build_nodule_table(
    cases: Sequence[LabelledCase],
    parts: Mapping[str, str],
    *,
    network: NoduleNetwork,
    lesions: LesionSpec,
    extractor: Extractor,
) -> FeatureTable:
    """Segment every nodule from its point as the node would, and extract its features.

    Parameters
    ----------
    cases : sequence of LabelledCase
        With ``point_lps_mm``.
    parts : mapping of patient to part of the split
    network : NoduleNetwork
    lesions : LesionSpec
    extractor : Extractor

    Returns
    -------
    FeatureTable
        One row for each case, also of those whose rating leaves the question open (``labelled``
        False); NaN where nothing was found at the point. ``dice`` and ``overlap`` are those of the
        lesion at the point.
    """
    rows = []
    for case in track(cases, description="features"):
        assert case.point_lps_mm is not None
        prompt = Prompt(point_lps_mm=case.point_lps_mm, label=case.identifier)
        found = find_nodules(case.volume, [prompt], network, lesions, model_digest="")
        for problem in found.absent:
            log.warning("nodule.not-found", case=case.identifier, problem=str(problem))
        rows.append(_measure(case, found.segmentation, extractor))
    dice, count, values, handmade = zip(*rows, strict=True)
    return FeatureTable(
        names=extractor.names,
        identifiers=np.array([case.identifier for case in cases]),
        patients=np.array([case.patient for case in cases]),
        parts=np.array([parts[case.patient] for case in cases]),
        tumour_types=np.array([case.tumour_type for case in cases]),
        malignant=np.array([bool(case.malignant) for case in cases]),
        labelled=np.array([case.malignant is not None for case in cases]),
        dice=np.array(dice),
        overlap=np.array(dice),
        lesion_count=np.array(count),
        values=np.stack(values),
        handmade_names=HANDMADE,
        handmade=np.stack(handmade),
    )


def _measure(
    case: LabelledCase, segmentation: Segmentation, extractor: Extractor
) -> tuple[float, int, NDArray[np.float64], NDArray[np.float64]]:
    count = len(segmentation.lesions)
    dice = measure_dice(segmentation.labels, case.mask)
    if not count:
        return dice, 0, np.full(len(extractor.names), np.nan), np.full(len(HANDMADE), np.nan)
    lesion = segmentation.lesions[0]
    vector = extractor.extract(case.volume, segmentation, lesion)
    return dice, count, vector.values, measure_handmade(case.volume, segmentation.mask_of(lesion))
