"""The frames of a DICOM Segmentation: which segment, where, and what they mark.

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

from node.dicom.limits import MAXIMUM_SEG_PIXELS
from node.dicom.pixels import PixelsRefused, check_pixels, count_frames


@dataclass(frozen=True, kw_only=True, eq=False)
class FramePlace:
    """Where a frame lies.

    Parameters
    ----------
    origin_mm : ndarray of float64, shape (3,)
        Middle of the first pixel, LPS.
    row_step_mm, column_step_mm : ndarray of float64, shape (3,)
        From one row to the next, and from one column to the next.
    """

    origin_mm: NDArray[np.float64]
    row_step_mm: NDArray[np.float64]
    column_step_mm: NDArray[np.float64]


def find_frames(dataset: Dataset, numbers: Collection[int]) -> list[int]:
    """Frames (from 0) that may hold one of the segments: all of a label map.

    Raises
    ------
    PixelsRefused
        The object has too many of them.
    """
    frames = range(count_frames(dataset))
    if _is_label_map(dataset):
        return list(frames)
    return [frame for frame in frames if _segment_of(dataset, frame) in numbers]


def decode_frames(dataset: Dataset, frames: Sequence[int]) -> Iterable[NDArray[Any]]:
    """Decode frames, one at a time where that can be done.

    Packed bits of frames that do not end on a byte are decoded at once: pydicom 3.0 cuts single
    ones among them off wrongly.

    Raises
    ------
    PixelsRefused
        The pixel data is beyond the limits.
    """
    if not frames:
        return ()
    pixels = int(dataset.Rows) * int(dataset.Columns) * count_frames(dataset)
    if pixels > MAXIMUM_SEG_PIXELS:
        raise PixelsRefused(f"{pixels} pixels in all frames, at most {MAXIMUM_SEG_PIXELS}")
    check_pixels(dataset)
    aligned = int(dataset.BitsAllocated) > 1 or int(dataset.Rows) * int(dataset.Columns) % 8 == 0
    if aligned or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return iter_pixels(dataset, raw=True, indices=frames)
    planes = pixel_array(dataset, raw=True).reshape(-1, dataset.Rows, dataset.Columns)
    return [planes[frame] for frame in frames]


def mark_pixels(
    dataset: Dataset, pixels: NDArray[Any], numbers: Collection[int]
) -> NDArray[np.bool_]:
    """Pixels of a frame that belong to the segments; of FRACTIONAL ones at least half."""
    if _is_label_map(dataset):
        return np.isin(pixels, sorted(numbers))
    if str(dataset.get("SegmentationType")) == "FRACTIONAL":
        return np.asarray(2 * pixels.astype(np.int64) >= int(dataset.MaximumFractionalValue))
    return np.asarray(pixels > 0)


def place_frame(dataset: Dataset, frame: int) -> FramePlace:
    """Read where a frame (from 0) lies.

    Raises
    ------
    KeyError
        If its position, orientation or spacing is told nowhere.
    ValueError
        If they are not the three, six and two finite numbers that they should be.
    """
    position = _find_group(dataset, frame, "PlanePositionSequence").ImagePositionPatient
    orientation = _find_group(dataset, frame, "PlaneOrientationSequence").ImageOrientationPatient
    row_mm, column_mm = _find_group(dataset, frame, "PixelMeasuresSequence").PixelSpacing
    along_row, along_column = np.array(orientation, float).reshape(2, 3)
    place = FramePlace(
        origin_mm=np.array(position, float).reshape(3),
        row_step_mm=along_column * float(row_mm),
        column_step_mm=along_row * float(column_mm),
    )
    if not np.isfinite([place.origin_mm, place.row_step_mm, place.column_step_mm]).all():
        raise ValueError(f"frame {frame + 1} has no place of finite numbers")
    return place


def _is_label_map(dataset: Dataset) -> bool:
    return str(dataset.get("SegmentationType")) == "LABELMAP"


def _segment_of(dataset: Dataset, frame: int) -> int:
    item = _find_group(dataset, frame, "SegmentIdentificationSequence")
    return int(item.ReferencedSegmentNumber)


def _find_group(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """Item of a functional group of one frame (from 0), its own or the shared one."""
    own = dataset.PerFrameFunctionalGroupsSequence[frame].get(keyword)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0].get(keyword)
    items = own or shared
    if not items:
        raise KeyError(f"{keyword} of frame {frame + 1}")
    item: Dataset = items[0]
    return item
