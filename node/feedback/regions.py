"""Regions that somebody drew, as voxels in their place.

Conventions
-----------
* A region is the voxels of a lattice: arrays of indices ``[k, j, i]``, shape (n, 3), which may lie
  outside the shape of its geometry: only the axes and the origin of that count.
* Between lattices a voxel is carried by its centre: one belongs to a region on another lattice if
  the nearest voxel of the region's own lattice does. A region that holds no centre is the voxels
  that its own centres lie in.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.assemble.prompt_labels import judge_label
from node.assemble.prompt_rtstruct import nature_of_observation
from node.assemble.prompt_seg import nature_of_segment
from node.assemble.prompts import MAXIMUM_EXTENT_MM
from node.assemble.regions import Nature
from node.dicom.limits import MAXIMUM_CONTOURS, MAXIMUM_REGIONS
from node.dicom.text import as_text
from node.domain.errors import InputRejected
from node.domain.feedback import Voice
from node.domain.finding import BENIGN, MALIGNANT
from node.domain.geometry import Geometry
from node.feedback.voices import code_of, interpreter_of, voice_of_segment, voice_of_structure
from node.volume.frame_grid import read_frame_grid
from node.volume.resample import resample_labels
from node.volume.rtstruct import Outline, rasterise_outline, read_outlines
from node.volume.seg import find_marked_voxels

CLASSES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("14799000", "SCT"): MALIGNANT.meaning,  # Neoplasm, Secondary
        ("363346000", "SCT"): MALIGNANT.meaning,  # Malignant neoplastic disease
        ("3898006", "SCT"): BENIGN.meaning,  # Neoplasm, benign
        ("20376005", "SCT"): BENIGN.meaning,  # Benign neoplastic disease
    }
)
"""Segmented property types that name a class (PS3.16 CID 7159, and SNOMED CT's own disorders).

"Neoplasm, Primary" (86049000) is none of them: tools set it by default.
"""

Voxels = NDArray[np.int64]

MAXIMUM_VOXELS = 16_000_000
"""Of one region: two litres at half a millimetre. Larger ones are no lesions."""
MAXIMUM_BOX_VOXELS = 1 << 24
"""Of the box round a region, and round two that are compared: a stray voxel makes it as large as
the images, and a comparison takes some 66 bytes for each voxel of it."""
OFF_LATTICE = 0.05
"""Voxels of two grids are the same if their centres differ by no more of one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnRegion:
    """One region of an object.

    Parameters
    ----------
    number : int
    name : str
    tracking_uid : str
        Empty if the object tells none.
    assessment : str
        Malignant or Benign where the object's codes say so, else empty.
    nature : Nature
        Whether it is a lesion, by its name and codes.
    voice : Voice
    author : str
        Who is named as that of this very region; empty where only the object has one.
    frame_of_reference_uid : str
    voxels : ndarray of int64, shape (n, 3)
    lattice : Geometry
    """

    number: int
    name: str
    tracking_uid: str
    assessment: str
    nature: Nature
    voice: Voice
    author: str = ""
    frame_of_reference_uid: str
    voxels: Voxels
    lattice: Geometry

    @property
    def volume_ml(self) -> float:
        """Voxels times the volume of one."""
        return len(self.voxels) * self.lattice.voxel_volume_mm3 / 1000


def read_segments(dataset: Dataset, tracking_uids: Collection[str] = ()) -> Iterator[DrawnRegion]:
    """Yield the segments of a SEG object that may be lesions and have a voxel.

    Parameters
    ----------
    dataset : Dataset
    tracking_uids : collection of str
        Of known lesions: whatever they are called, and however large up to
        ``MAXIMUM_BOX_VOXELS``.

    Raises
    ------
    InputRejected, KeyError, ValueError, RuntimeError, NotImplementedError
        If the object is damaged, or its frames lie on no common grid.
    """
    segments = dataset.get("SegmentSequence") or ()
    _check_count(len(segments))
    lattice = read_frame_grid(dataset)
    for segment in segments:
        number = int(segment.get("SegmentNumber") or 0)
        if number < 1:  # 0 is the background of label maps
            continue
        name = as_text(segment.get("SegmentLabel")).strip()
        tracking_uid = str(segment.get("TrackingUID") or "")
        nature = judge_label(name, nature_of_segment(segment))
        is_known = tracking_uid in tracking_uids
        if nature is Nature.OTHER and not is_known:
            continue
        voxels = _collect(find_marked_voxels(dataset, {number}, lattice))
        if not len(voxels) or box_voxels(voxels) > MAXIMUM_BOX_VOXELS:
            continue
        if _extent_mm(voxels, lattice) > MAXIMUM_EXTENT_MM and not is_known:
            continue
        yield DrawnRegion(
            number=number,
            name=name,
            tracking_uid=tracking_uid,
            assessment=CLASSES.get(code_of(segment.get("SegmentedPropertyTypeCodeSequence")), ""),
            nature=nature,
            voice=voice_of_segment(segment),
            frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
            voxels=voxels,
            lattice=lattice,
        )


def read_structures(dataset: Dataset, lattice: Geometry | None) -> Iterator[DrawnRegion]:
    """Yield the regions of an RTSTRUCT object that may be lesions and enclose a voxel.

    Parameters
    ----------
    dataset : Dataset
    lattice : Geometry, optional
        Of the images that they were probably drawn on; contours elsewhere get a lattice of their
        own.

    Raises
    ------
    InputRejected, ValueError
        If the contours of every structure are damaged, or lie on no parallel planes.
    """
    structures = {
        int(item.get("ROINumber") or 0): item
        for item in dataset.get("StructureSetROISequence") or ()
    }
    _check_count(len(structures))
    observations = {
        int(item.get("ReferencedROINumber") or 0): item
        for item in dataset.get("RTROIObservationsSequence") or ()
    }
    natures = {number: nature_of_observation(item) for number, item in observations.items()}
    faults: list[Exception] = []
    could_read = False
    for outline in read_outlines(dataset):
        nature = judge_label(outline.name, natures.get(outline.number, Nature.UNTOLD))
        if nature is Nature.OTHER or not outline.contours:
            continue
        try:
            filled = _fill_bounded(outline, lattice)
        except (ValueError, InputRejected) as fault:  # of this structure alone
            faults.append(fault)
            continue
        could_read = True
        if filled is None or not len(filled[0]):
            continue
        voxels, own_lattice = filled
        yield DrawnRegion(
            number=outline.number,
            name=outline.name,
            tracking_uid="",
            assessment="",
            nature=nature,
            voice=voice_of_structure(structures[outline.number]),
            author=interpreter_of(observations.get(outline.number)),
            frame_of_reference_uid=outline.frame_of_reference_uid
            or str(dataset.get("FrameOfReferenceUID") or ""),
            voxels=voxels,
            lattice=own_lattice,
        )
    if faults and not could_read:
        raise faults[0]


def voxels_on(region: DrawnRegion, lattice: Geometry) -> tuple[Voxels, bool]:
    """Return the voxels of a region on a lattice, and whether that is another than its own."""
    if is_same_lattice(region.lattice, lattice):
        moved = lattice.to_index(region.lattice.to_lps(region.voxels))
        return np.rint(moved).astype(np.int64), False
    piece, first = cut_out(region.lattice, region.voxels)
    mask = np.zeros(piece.shape, np.uint8)
    mask[tuple((region.voxels - first).T)] = 1
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in piece.shape])).reshape(3, -1).T
    reached = lattice.to_index(piece.to_lps(corners))
    ends = np.stack([np.floor(reached.min(axis=0)), np.ceil(reached.max(axis=0))])
    target, begin = cut_out(lattice, ends.astype(np.int64))
    carried = np.argwhere(resample_labels(mask, piece, target)) + begin
    if not len(carried):  # thinner than a slice, and between two: the voxels that it lies in
        nearest = np.rint(lattice.to_index(region.lattice.to_lps(region.voxels)))
        carried = np.unique(nearest.astype(np.int64), axis=0)
    return carried, True


def is_same_lattice(first: Geometry, second: Geometry) -> bool:
    """Tell whether the voxels of two grids have the same centres, as far as both reach."""
    ends = np.array(first.shape) - 1
    corners = np.array(np.meshgrid(*[(0, n) for n in ends])).reshape(3, -1).T
    steps = second.to_index(first.to_lps(np.concatenate([corners, np.eye(3)])))
    origin = second.to_index(first.to_lps((0, 0, 0)))
    turned = np.rint(steps[-3:] - origin)
    return bool(
        np.abs(steps - np.rint(steps)).max() <= OFF_LATTICE
        and (np.abs(turned).sum(axis=1) == 1).all()
        and (np.abs(turned).sum(axis=0) == 1).all()
    )


def cut_out(lattice: Geometry, voxels: Voxels) -> tuple[Geometry, Voxels]:
    """Return the smallest piece of a lattice with these voxels, and the index of its first one."""
    first, last = voxels.min(axis=0), voxels.max(axis=0)
    affine = np.array(lattice.affine)
    affine[:, 3] = lattice.to_lps(first)
    slices, rows, columns = (int(n) for n in last - first + 1)
    return Geometry(affine=affine, shape=(slices, rows, columns)), first


def _collect(frames: Iterable[Voxels]) -> Voxels:
    """Return the voxels of all frames, each once; none of a region that is too large."""
    found, count = [], 0
    for voxels in frames:
        found.append(voxels)
        count += len(voxels)
        if count > MAXIMUM_VOXELS:
            return np.empty((0, 3), np.int64)
    return np.unique(np.concatenate([np.empty((0, 3), np.int64), *found]), axis=0)


def box_voxels(*regions: Voxels) -> int:
    """Voxels of the box round regions of one lattice, with a border of one."""
    together = np.concatenate(regions)
    return math.prod((together.max(axis=0) - together.min(axis=0) + 3).tolist())


def _extent_mm(voxels: Voxels, lattice: Geometry) -> float:
    """Largest extent along an axis of the lattice."""
    counts = voxels.max(axis=0) - voxels.min(axis=0) + 1
    return float((counts * lattice.spacing_mm).max())


def _fill_bounded(outline: Outline, lattice: Geometry | None) -> tuple[Voxels, Geometry] | None:
    """Fill contours; None for a structure that is too large for a lesion."""
    if len(outline.contours) > MAXIMUM_CONTOURS:
        raise ValueError(f"{len(outline.contours)} contours, at most {MAXIMUM_CONTOURS}")
    extent_mm = float(np.ptp(np.concatenate(outline.contours), axis=0).max())
    if not extent_mm <= MAXIMUM_EXTENT_MM:
        return None
    return _fill(outline, lattice)


def _fill(outline: Outline, lattice: Geometry | None) -> tuple[Voxels, Geometry]:
    """Fill contours on the given lattice if they lie on its slices, else on one of their own."""
    points = np.concatenate(outline.contours)
    if lattice is not None:
        ends = lattice.to_index(points)
        around = np.stack([np.rint(ends.min(axis=0)) - 1, np.rint(ends.max(axis=0)) + 1])
        piece, first = cut_out(lattice, around.astype(np.int64))
        try:
            return np.argwhere(rasterise_outline(outline, piece)) + first, lattice
        except InputRejected:
            pass  # drawn on other images of the same frame of reference
    own = _lattice_of_contours(outline, lattice)
    return np.argwhere(rasterise_outline(outline, own)), own


def _lattice_of_contours(outline: Outline, like: Geometry | None) -> Geometry:
    """Lattice whose slices are the planes of the contours, with pixels like those of another.

    Raises
    ------
    ValueError
        The contours are not parallel, or their planes not evenly spaced.
    """
    normal = _normal(max(outline.contours, key=len))
    pixel_mm = min(like.spacing_mm) if like is not None else 1.0
    across = np.linalg.svd(normal[None])[2][1:]
    heights = np.sort([float(np.mean(contour @ normal)) for contour in outline.contours])
    if any(np.ptp(contour @ normal) > 0.1 * pixel_mm for contour in outline.contours):
        raise ValueError("contours that are not parallel planes")
    gaps = np.diff(heights)
    gaps = gaps[gaps > 0.1 * pixel_mm]
    gap_mm = float(gaps.min()) if gaps.size else (like.spacing_mm[0] if like is not None else 1.0)
    span_mm = heights[-1] - heights[0]
    if gaps.size:
        # positions are rounded in writing, and the sum of rounded gaps is off: all planes together
        # tell better how many there are
        steps = np.concatenate([[0.0], np.cumsum(np.rint(np.diff(heights) / gap_mm))])
        gap_mm = float(span_mm / steps[-1])
    planes = (heights - heights[0]) / gap_mm
    if np.abs(planes - np.rint(planes)).max() > 0.1:
        raise ValueError("contours that are not evenly spaced")
    flat = np.concatenate(outline.contours) @ across.T
    low = flat.min(axis=0) - pixel_mm
    counts = np.ceil((flat.max(axis=0) + pixel_mm - low) / pixel_mm).astype(int) + 1
    return Geometry.from_axes(
        origin_mm=normal * heights[0] + across[0] * low[0] + across[1] * low[1],
        slice_step_mm=normal * gap_mm,
        row_step_mm=across[0] * pixel_mm,
        column_step_mm=across[1] * pixel_mm,
        shape=(round(float(planes.max())) + 1, int(counts[0]), int(counts[1])),
    )


def _normal(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit normal of the plane through points, by Newell's method."""
    following = np.roll(points, -1, axis=0)
    normal = np.cross(points - points.mean(axis=0), following - points.mean(axis=0)).sum(axis=0)
    length = np.linalg.norm(normal)
    if length == 0:
        raise ValueError("a contour that encloses nothing")
    return np.asarray(normal / length)


def _check_count(count: int) -> None:
    if count > MAXIMUM_REGIONS:
        raise ValueError(f"{count} regions, at most {MAXIMUM_REGIONS} are taken")
