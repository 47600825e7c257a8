"""Segments of a DICOM Segmentation as masks on the grid of a volume.

Frames are placed one by one by their own position and orientation, so that sparse objects, frames
in any order, other orders of rows and columns, and tilted stacks come out right; highdicom builds
volumes from regular, untilted stacks alone. Nothing is interpolated: where the pixels of a frame
do not coincide with voxels of the grid, the object is refused.

References
----------
PS3.3 A.51 (Segmentation IOD), C.8.20.2 (Segmentation Image).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.dicom.seg_frames import (
    FramePlace,
    decode_frames,
    find_frames,
    mark_pixels,
    place_frame,
)
from node.dicom.text import as_text
from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry

OFF_GRID_VOXELS = 0.25
"""Largest distance of a frame's corners from the centres of voxels."""


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment, as its object describes it.

    Parameters
    ----------
    number : int
    label : str
        Segment Label.
    """

    number: int
    label: str


def read_segments(dataset: Dataset) -> tuple[Segment, ...]:
    """List the segments of a SEG object."""
    return tuple(
        Segment(number=int(item.SegmentNumber), label=as_text(item.get("SegmentLabel")).strip())
        for item in dataset.get("SegmentSequence") or ()
    )


def referenced_series_of_seg(dataset: Dataset) -> tuple[str, ...]:
    """Series Instance UIDs that a SEG object refers to, each once."""
    items = dataset.get("ReferencedSeriesSequence") or ()
    found = dict.fromkeys(str(item.get("SeriesInstanceUID") or "") for item in items)
    return tuple(uid for uid in found if uid)


def rasterise_segments(
    dataset: Dataset, numbers: Collection[int], geometry: Geometry
) -> NDArray[np.bool_]:
    """Put segments of a SEG object on a grid, united.

    Parameters
    ----------
    dataset : Dataset
        BINARY, FRACTIONAL (at least half of the maximum counts) or LABELMAP, with its pixels.
    numbers : collection of int
        Segment numbers.
    geometry : Geometry
        Of the images that were segmented.

    Returns
    -------
    ndarray of bool, shape (z, y, x)

    Raises
    ------
    InputRejected
        If frames lie on another grid, or marked pixels beyond the grid.
    KeyError, ValueError, RuntimeError, NotImplementedError
        If pixel data or headers are damaged.
    """
    mask = np.zeros(geometry.shape, bool)
    for voxels in find_marked_voxels(dataset, numbers, geometry):
        mask[tuple(voxels.T)] = True
    return mask


def read_label_planes(path: Path, geometry: Geometry) -> dict[int, NDArray[np.uint16]]:
    """Read the segments of a SEG file slice by slice; of a large volume few slices have any.

    Parameters
    ----------
    path : Path
    geometry : Geometry
        Of the images that were segmented.

    Returns
    -------
    dict of int to ndarray of uint16, shape (y, x)
        Slice -> segment numbers, 0 where there is none; slices without a segment are left out.
        Where segments overlap, the one with the highest number is told.

    Raises
    ------
    InputRejected
        If frames lie on another grid, or marked pixels beyond the grid.
    OSError, KeyError, ValueError, RuntimeError, NotImplementedError
        If the file is missing, or its pixel data or headers are damaged.
    """
    dataset = dcmread(path)
    planes: dict[int, NDArray[np.uint16]] = defaultdict(
        lambda: np.zeros(geometry.shape[1:], np.uint16)
    )
    for number in sorted(segment.number for segment in read_segments(dataset)):
        for voxels in find_marked_voxels(dataset, {number}, geometry):
            for k in np.unique(voxels[:, 0]):
                here = voxels[voxels[:, 0] == k]
                planes[int(k)][here[:, 1], here[:, 2]] = number
    return dict(sorted(planes.items()))


def find_marked_voxels(
    dataset: Dataset, numbers: Collection[int], geometry: Geometry
) -> Iterator[NDArray[np.int64]]:
    """Yield the indices of the voxels that segments mark, frame by frame, shape (n, 3).

    Raises
    ------
    InputRejected
        At the end, if frames lie on another grid, or marked pixels beyond the grid.
    KeyError, ValueError, RuntimeError, NotImplementedError
        If pixel data or headers are damaged.
    """
    wanted = find_frames(dataset, numbers)
    off_grid = beyond = 0
    for frame, pixels in zip(wanted, decode_frames(dataset, wanted), strict=True):
        marked = np.argwhere(mark_pixels(dataset, pixels, numbers))
        if not len(marked):
            continue
        lattice = _lattice(dataset, place_frame(dataset, frame), geometry)
        if lattice is None:
            off_grid += 1
            continue
        voxels = lattice[0] + marked @ lattice[1:]
        inside = ((voxels >= 0) & (voxels < geometry.shape)).all(axis=1)
        beyond += int((~inside).sum())
        yield voxels[inside]
    problems = []
    if off_grid:
        problems.append(
            Problem(
                code="different-grid",
                found=f"{off_grid} of {len(wanted)} frames between the voxels",
                expected="segments on the pixels of the images",
                remedy="give the series that was segmented, or resample the segmentation to it",
                uid=str(dataset.get("SOPInstanceUID") or ""),
            )
        )
    if beyond:
        problems.append(
            Problem(
                code="segment-outside",
                found=f"{beyond} marked pixels beyond the images",
                expected="segments within the images",
                remedy="give the complete series that was segmented",
                uid=str(dataset.get("SOPInstanceUID") or ""),
            )
        )
    if problems:
        raise InputRejected(problems)


def _lattice(dataset: Dataset, place: FramePlace, geometry: Geometry) -> NDArray[np.int64] | None:
    """Voxel index of a frame's first pixel, and its steps per row and per column.

    None if the frame's corners do not fall on voxels, or its pixels are not as large.
    """
    origin = place.origin_mm
    first, down, right = geometry.to_index(
        np.stack([origin, origin + place.row_step_mm, origin + place.column_step_mm])
    )
    exact = np.stack([first, down - first, right - first])
    whole = np.rint(exact).astype(np.int64)
    ends = np.array([dataset.Rows - 1, dataset.Columns - 1])
    corners = np.array([[1, r, c] for r in (0, ends[0]) for c in (0, ends[1])])
    steps_one = (np.abs(whole[1:]).sum(axis=1) == 1).all()
    if not steps_one or np.abs(corners @ (exact - whole)).max() > OFF_GRID_VOXELS:
        return None
    return np.asarray(whole)
