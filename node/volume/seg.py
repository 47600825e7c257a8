"""Segments of a DICOM Segmentation as masks on the grid of a volume.

Frames are placed one by one by their own position and orientation, so that sparse objects, frames
in any order, other orders of rows and columns, and tilted stacks come out right; highdicom builds
volumes from regular, untilted stacks alone. Nothing is interpolated: where the pixels of a frame
do not coincide with voxels of the grid, the object is refused.

References
----------
PS3.3 A.51 (Segmentation IOD), C.8.20.2 (Segmentation Image), C.7.6.16 (functional groups).
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels, pixel_array

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
        Segment(number=int(item.SegmentNumber), label=str(item.get("SegmentLabel") or "").strip())
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
    wanted = [frame for frame in range(_count(dataset)) if _is_wanted(dataset, frame, set(numbers))]
    mask = np.zeros(geometry.shape, bool)
    off_grid = beyond = 0
    frames = _frames(dataset, wanted) if wanted else ()
    for frame, pixels in zip(wanted, frames, strict=True):
        marked = np.argwhere(_marks(dataset, pixels, set(numbers)))
        if not len(marked):
            continue
        lattice = _lattice(dataset, frame, geometry)
        if lattice is None:
            off_grid += 1
            continue
        voxels = lattice[0] + marked @ lattice[1:]
        inside = ((voxels >= 0) & (voxels < geometry.shape)).all(axis=1)
        beyond += int((~inside).sum())
        mask[tuple(voxels[inside].T)] = True
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
    return mask


def _frames(dataset: Dataset, indices: Sequence[int]) -> Iterable[NDArray[Any]]:
    """Decode frames, one at a time where that can be done.

    Packed bits of frames that do not end on a byte are decoded at once: pydicom 3.0 cuts single
    ones among them off wrongly.
    """
    aligned = int(dataset.BitsAllocated) > 1 or int(dataset.Rows) * int(dataset.Columns) % 8 == 0
    if aligned or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return iter_pixels(dataset, raw=True, indices=indices)
    pixels = pixel_array(dataset, raw=True).reshape(-1, dataset.Rows, dataset.Columns)
    return [pixels[index] for index in indices]


def _count(dataset: Dataset) -> int:
    return int(dataset.get("NumberOfFrames") or 1)


def _is_label_map(dataset: Dataset) -> bool:
    return str(dataset.get("SegmentationType")) == "LABELMAP"


def _is_wanted(dataset: Dataset, frame: int, numbers: set[int]) -> bool:
    if _is_label_map(dataset):
        return True
    item = _group(dataset, frame, "SegmentIdentificationSequence")
    return int(item.ReferencedSegmentNumber) in numbers


def _marks(dataset: Dataset, pixels: NDArray[Any], numbers: set[int]) -> NDArray[np.bool_]:
    if _is_label_map(dataset):
        return np.isin(pixels, sorted(numbers))
    if str(dataset.get("SegmentationType")) == "FRACTIONAL":
        return np.asarray(2 * pixels.astype(np.int64) >= int(dataset.MaximumFractionalValue))
    return np.asarray(pixels > 0)


def _group(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """Item of a functional group of one frame (from 0), its own or the shared one."""
    own = dataset.PerFrameFunctionalGroupsSequence[frame].get(keyword)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0].get(keyword)
    items = own or shared
    if not items:
        raise KeyError(f"{keyword} of frame {frame + 1}")
    item: Dataset = items[0]
    return item


def _lattice(dataset: Dataset, frame: int, geometry: Geometry) -> NDArray[np.int64] | None:
    """Voxel index of a frame's first pixel, and its steps per row and per column.

    None if the frame's corners do not fall on voxels, or its pixels are not as large.
    """
    position = np.array(_group(dataset, frame, "PlanePositionSequence").ImagePositionPatient, float)
    orientation = _group(dataset, frame, "PlaneOrientationSequence").ImageOrientationPatient
    along_row, along_column = np.array(orientation, float).reshape(2, 3)
    row_mm, column_mm = (
        float(part) for part in _group(dataset, frame, "PixelMeasuresSequence").PixelSpacing
    )
    first, down, right = geometry.to_index(
        np.stack([position, position + along_column * row_mm, position + along_row * column_mm])
    )
    exact = np.stack([first, down - first, right - first])
    whole = np.rint(exact).astype(np.int64)
    ends = np.array([dataset.Rows - 1, dataset.Columns - 1])
    corners = np.array([[1, r, c] for r in (0, ends[0]) for c in (0, ends[1])])
    steps_one = (np.abs(whole[1:]).sum(axis=1) == 1).all()
    if not steps_one or np.abs(corners @ (exact - whole)).max() > OFF_GRID_VOXELS:
        return None
    return np.asarray(whole)
