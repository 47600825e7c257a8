"""Segments of a DICOM Segmentation as regions.

References
----------
PS3.3 A.51, C.8.20.2 (Segmentation Image), C.7.6.16 (functional groups); PS3.16 CID 7150
(segmented property categories).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels, pixel_array

from node.assemble.inner_point import Location, MarkedPlane, locate_planes
from node.assemble.prompt_labels import judge_label
from node.assemble.regions import Nature, Region
from node.domain.study import Series

#: Categories of PS3.16 CID 7150 (SNOMED CT, and the retired SRT values): a morphologically
#: abnormal structure, and a physical object. Others are set by habit and tell nothing.
_ABNORMAL = frozenset({"49755003", "M-01000"})
_OBJECT = frozenset({"260787004", "A-00004"})


def read_segments(dataset: Dataset, series: Series) -> list[Region]:
    """List the segments of a SEG object."""
    referenced = {
        str(item.get("SeriesInstanceUID") or "")
        for item in dataset.get("ReferencedSeriesSequence") or ()
    }
    frame_uid = str(dataset.get("FrameOfReferenceUID") or "")
    is_on_series = series.series_instance_uid in referenced or (
        frame_uid != "" and frame_uid == series.attributes.get("FrameOfReferenceUID")
    )
    return [
        Region(
            label=str(item.get("SegmentLabel") or "").strip(),
            nature=_nature(item),
            is_on_series=is_on_series,
            locate=_Locator(dataset, int(item.SegmentNumber)),
        )
        for item in dataset.get("SegmentSequence") or ()
        if int(item.get("SegmentNumber") or 0) > 0  # 0 is the background of label maps
    ]


class _Locator:
    """Decodes the frames of one segment only when asked."""

    def __init__(self, dataset: Dataset, number: int) -> None:
        self._dataset = dataset
        self._number = number

    def __call__(self) -> Location:
        return locate_planes(self._planes())

    def _planes(self) -> Iterator[MarkedPlane]:
        dataset = self._dataset
        label_map = str(dataset.get("SegmentationType")) == "LABELMAP"
        frames = [
            frame
            for frame in range(int(dataset.get("NumberOfFrames") or 1))
            if label_map or _segment_of(dataset, frame) == self._number
        ]
        if not frames:
            return
        for frame, pixels in zip(frames, _frames(dataset, frames), strict=True):
            yield _place(dataset, frame, self._marks(pixels))

    def _marks(self, pixels: NDArray[Any]) -> NDArray[np.bool_]:
        kind = str(self._dataset.get("SegmentationType"))
        if kind == "LABELMAP":
            return np.asarray(pixels == self._number)
        if kind == "FRACTIONAL":
            return np.asarray(2 * pixels.astype(np.int64) >= self._dataset.MaximumFractionalValue)
        return np.asarray(pixels > 0)


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


def _place(dataset: Dataset, frame: int, pixels: NDArray[np.bool_]) -> MarkedPlane:
    position = _group(dataset, frame, "PlanePositionSequence").ImagePositionPatient
    orientation = _group(dataset, frame, "PlaneOrientationSequence").ImageOrientationPatient
    row_mm, column_mm = _group(dataset, frame, "PixelMeasuresSequence").PixelSpacing
    along_row, along_column = np.array(orientation, float).reshape(2, 3)
    return MarkedPlane(
        pixels=pixels,
        origin_mm=np.array(position, float),
        row_step_mm=along_column * float(row_mm),
        column_step_mm=along_row * float(column_mm),
    )


def _segment_of(dataset: Dataset, frame: int) -> int:
    item = _group(dataset, frame, "SegmentIdentificationSequence")
    return int(item.ReferencedSegmentNumber)


def _group(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """Item of a functional group of one frame (from 0), its own or the shared one."""
    own = dataset.PerFrameFunctionalGroupsSequence[frame].get(keyword)
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0].get(keyword)
    for items in (own, shared):
        if items:
            item: Dataset = items[0]
            return item
    raise ValueError(f"frame {frame + 1} has no {keyword}")


def _nature(segment: Dataset) -> Nature:
    categories = segment.get("SegmentedPropertyCategoryCodeSequence") or ()
    codes = {str(item.get("CodeValue") or "") for item in categories}
    if codes & _ABNORMAL:
        return Nature.LESION
    types = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    meaning = " ".join(str(item.get("CodeMeaning") or "") for item in types)
    return judge_label(meaning, Nature.OTHER if codes & _OBJECT else Nature.UNTOLD)
