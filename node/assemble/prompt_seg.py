"""Segments of a DICOM Segmentation as regions.

References
----------
PS3.3 C.8.20.2 (Segmentation Image); PS3.16 CID 7150 (segmented property categories).
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from node.assemble.inner_point import Location, MarkedPlane, locate_planes
from node.assemble.prompt_labels import judge_label
from node.assemble.regions import Nature, Region
from node.dicom.seg_frames import decode_frames, find_frames, mark_pixels, place_frame
from node.dicom.text import as_text
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
            label=as_text(item.get("SegmentLabel")).strip(),
            nature=nature_of_segment(item),
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
        dataset, numbers = self._dataset, (self._number,)
        frames = find_frames(dataset, numbers)
        for frame, pixels in zip(frames, decode_frames(dataset, frames), strict=True):
            place = place_frame(dataset, frame)
            yield MarkedPlane(
                pixels=mark_pixels(dataset, pixels, numbers),
                origin_mm=place.origin_mm,
                row_step_mm=place.row_step_mm,
                column_step_mm=place.column_step_mm,
            )


def nature_of_segment(segment: Dataset) -> Nature:
    """Tell what a segment is by its codes."""
    categories = segment.get("SegmentedPropertyCategoryCodeSequence") or ()
    codes = {str(item.get("CodeValue") or "") for item in categories}
    if codes & _ABNORMAL:
        return Nature.LESION
    types = segment.get("SegmentedPropertyTypeCodeSequence") or ()
    meaning = " ".join(str(item.get("CodeMeaning") or "") for item in types)
    return judge_label(meaning, Nature.OTHER if codes & _OBJECT else Nature.UNTOLD)
