"""Outlines of a person against those of a result, lesion by lesion.

A region belongs to the lesion that it names by its Tracking UID, else to the one that it overlaps
most; regions of one lesion by one reader are united. One that overlaps none is a lesion that the
node missed, if its object refers to the result or calls it a lesion. Lesions that nobody has drawn
are left as they are: who corrects one says nothing of the others.

References
----------
PS3.3 C.8.20.2 (Tracking UID of a segment).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import dcmread

from node.assemble.regions import Nature
from node.domain.feedback import OutlineAgreement, Voice
from node.domain.geometry import Geometry
from node.evaluation.surface import TOLERANCE_MM, measure_masks
from node.feedback.own_results import OwnLesion, OwnResult
from node.feedback.regions import (
    MAXIMUM_BOX_VOXELS,
    DrawnRegion,
    Voxels,
    box_voxels,
    voxels_on,
)
from node.volume.frame_grid import read_frame_grid
from node.volume.seg import find_marked_voxels


@dataclass(frozen=True, kw_only=True)
class OutlineOpinion:
    """What an object says of the outline of one lesion.

    Parameters
    ----------
    lesion : OwnLesion or None
        None for a lesion that the node missed.
    region : str
        Number and name of the region, or of the regions, in the object.
    voice : Voice
    author : str
        Who drew these regions; empty where only the object has an author.
    agreement : OutlineAgreement
    assessment : str
        Class that the regions name by their codes; empty if none, or several.
    """

    lesion: OwnLesion | None
    region: str
    voice: Voice
    author: str
    agreement: OutlineAgreement
    assessment: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnOutlines:
    """The segmentation of a result: voxels of each lesion by number, on one lattice."""

    lattice: Geometry
    voxels: dict[int, Voxels]


def read_own_outlines(result: OwnResult) -> OwnOutlines | None:
    """Read the segmentation of a result; None if it has no lesion.

    Raises
    ------
    FileNotFoundError
        If its file is gone: what was drawn cannot be called missed then.
    OSError, KeyError, ValueError, InputRejected
        If the file cannot be read.
    """
    if not result.lesions:
        return None
    if result.seg_path is None:
        raise FileNotFoundError(result.seg_uid)
    dataset = dcmread(result.seg_path)
    lattice = read_frame_grid(dataset)
    return OwnOutlines(
        lattice=lattice,
        voxels={
            lesion.number: np.concatenate(
                [
                    np.empty((0, 3), np.int64),
                    *find_marked_voxels(dataset, {lesion.number}, lattice),
                ]
            )
            for lesion in result.lesions
        },
    )


def compare_outlines(
    regions: Sequence[DrawnRegion],
    result: OwnResult,
    outlines: OwnOutlines | None,
    *,
    refers_to_result: bool,
) -> tuple[OutlineOpinion, ...]:
    """Measure drawn regions against the lesions of a result.

    Parameters
    ----------
    regions : sequence of DrawnRegion
        In the frame of reference of the result.
    result : OwnResult
    outlines : OwnOutlines or None
        See ``read_own_outlines``.
    refers_to_result : bool
        Whether their object names an object of the result.
    """
    drawn: dict[tuple[int, Voice, str], list[tuple[DrawnRegion, Voxels, bool]]] = defaultdict(list)
    missed: list[DrawnRegion] = []
    known = {lesion.tracking_uid for lesion in result.lesions}
    has_lesions = any(
        region.nature is Nature.LESION or region.tracking_uid in known for region in regions
    )
    for region in regions:
        is_untold = region.nature is Nature.UNTOLD and region.tracking_uid not in known
        if is_untold and has_lesions:  # as with prompts: some names tell, this one does not
            continue
        on_lattice = None if outlines is None else voxels_on(region, outlines.lattice)
        lesion = result.lesion_of(tracking_uid=region.tracking_uid) if region.tracking_uid else None
        if lesion is None and outlines is not None and on_lattice is not None:
            lesion = _most_overlapped(on_lattice[0], result, outlines)
        if lesion is not None and on_lattice is not None:
            drawn[lesion.number, region.voice, region.author].append((region, *on_lattice))
        elif lesion is None and (refers_to_result or region.nature is Nature.LESION):
            missed.append(region)
    opinions = [
        _measure(parts, lesion, outlines)
        for (number, _, _), parts in sorted(drawn.items())
        for lesion in (result.lesion_of(number=number),)
        if lesion is not None
        and outlines is not None
        and box_voxels(outlines.voxels[number], *(voxels for _, voxels, _ in parts))
        <= MAXIMUM_BOX_VOXELS  # what lies far apart cannot be measured, and says little
    ]
    return (*opinions, *(_miss(region) for region in missed))


def _most_overlapped(voxels: Voxels, result: OwnResult, outlines: OwnOutlines) -> OwnLesion | None:
    shared = {
        number: _count_shared(voxels, own) for number, own in outlines.voxels.items() if len(own)
    }
    number = max(shared, key=lambda each: shared[each], default=None)
    return result.lesion_of(number=number) if number is not None and shared[number] else None


def _count_shared(first: Voxels, second: Voxels) -> int:
    low, high = second.min(axis=0), second.max(axis=0)
    inside = first[((first >= low) & (first <= high)).all(axis=1)]
    shape = tuple(high - low + 1)
    places = (np.ravel_multi_index(tuple((each - low).T), shape) for each in (inside, second))
    return len(np.intersect1d(*places))


def _measure(
    parts: Sequence[tuple[DrawnRegion, Voxels, bool]],
    lesion: OwnLesion,
    outlines: OwnOutlines,
) -> OutlineOpinion:
    reader = np.concatenate([voxels for _, voxels, _ in parts])
    own = outlines.voxels[lesion.number]
    together = np.concatenate([reader, own])
    first = together.min(axis=0) - 1  # surfaces need a border
    shape = tuple(together.max(axis=0) - first + 2)
    masks = np.zeros((2, *shape), bool)
    for mask, voxels in zip(masks, (reader, own), strict=True):
        mask[tuple((voxels - first).T)] = True
    figures = measure_masks(masks[0], masks[1], outlines.lattice.spacing_mm)
    voxel_ml = outlines.lattice.voxel_volume_mm3 / 1000
    counts = masks.sum(axis=(1, 2, 3))
    classes = {region.assessment for region, _, _ in parts}
    return OutlineOpinion(
        lesion=lesion,
        region=", ".join(f"{region.number} {region.name}".strip() for region, _, _ in parts),
        voice=parts[0][0].voice,
        author=parts[0][0].author,
        agreement=OutlineAgreement(
            dice=figures.dice,
            surface_dice=figures.surface_dice,
            tolerance_mm=TOLERANCE_MM,
            hd95_mm=figures.hd95_mm if counts.all() else None,
            node_ml=float(counts[1] * voxel_ml),
            reader_ml=float(counts[0] * voxel_ml),
            is_resampled=any(is_other for _, _, is_other in parts),
        ),
        assessment=classes.pop() if len(classes) == 1 else "",
    )


def _miss(region: DrawnRegion) -> OutlineOpinion:
    return OutlineOpinion(
        lesion=None,
        region=f"{region.number} {region.name}".strip(),
        voice=region.voice,
        author=region.author,
        agreement=OutlineAgreement(
            dice=0.0,
            surface_dice=0.0,
            tolerance_mm=TOLERANCE_MM,
            hd95_mm=None,
            node_ml=0.0,
            reader_ml=region.volume_ml,
        ),
    )
