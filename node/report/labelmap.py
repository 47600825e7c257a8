"""Label map SEG: what a BINARY one says, with the number of the lesion in every pixel.

Some viewers decode the packed bits of BINARY wrongly where frames do not end on whole bytes and
words; bytes they read rightly.

References
----------
PS3.3 A.51 and C.8.20.2 (Segmentation Type LABELMAP), A.51.5 (Label Map Segmentation IOD).
"""

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID

from node.report.fault import ReportFault
from node.report.uids import PENDING_UID, seal_uids
from node.report.verify import decode_frames

LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
_SEGMENT_NUMBER = Tag("ReferencedSegmentNumber")
_SEGMENT_ITEM = "SegmentIdentificationSequence"
_REPLACED = ("PixelData", "PerFrameFunctionalGroupsSequence")


def fits_binary_readers(rows: int, columns: int) -> bool:
    """Tell whether viewers that read packed bits word by word read frames of this size rightly."""
    return (rows * columns) % 16 == 0 and columns % 8 == 0


def build_labelmap(seg: Dataset) -> Dataset:
    """Build the label map segmentation that says what a BINARY one says.

    Parameters
    ----------
    seg : Dataset
        BINARY segmentation of this node, whose segments do not overlap. It stays as it is.

    Returns
    -------
    Dataset
        One frame for each slice that the segmentation shows; pixel value = segment number. There
        is no segment for the background: viewers would take it for the first lesion.

    Raises
    ------
    ReportFault
        If segments overlap, or a number does not fit into a byte.
    """
    planes: dict[tuple[str, int], NDArray[np.uint8]] = {}
    groups: dict[tuple[str, int], Dataset] = {}
    for frame, group in zip(decode_frames(seg), seg.PerFrameFunctionalGroupsSequence, strict=True):
        key = frame.source_uid, frame.source_frame
        plane = planes.setdefault(key, np.zeros(frame.pixels.shape, dtype=np.uint8))
        if plane[frame.pixels].any() or not 0 < frame.segment < 256:
            raise ReportFault(f"frame {frame.number} has no place in a label map")
        plane[frame.pixels] = frame.segment
        groups.setdefault(key, group)
    made = copy.deepcopy(Dataset({e.tag: e for e in seg if e.keyword not in _REPLACED}))
    made.file_meta = copy.deepcopy(seg.file_meta)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = LABEL_MAP_STORAGE
    made.SOPInstanceUID = made.SeriesInstanceUID = PENDING_UID
    made.SegmentationType = "LABELMAP"
    made.SegmentsOverlap = "NO"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.add_new("PixelPaddingValue", "US", 0)
    pointers = [item.DimensionIndexPointer for item in made.DimensionIndexSequence]
    kept_axes = [axis for axis, pointer in enumerate(pointers) if pointer != _SEGMENT_NUMBER]
    made.DimensionIndexSequence = [made.DimensionIndexSequence[axis] for axis in kept_axes]
    made.SharedFunctionalGroupsSequence[0].pop(_SEGMENT_ITEM, None)
    frames = [(_slice_group(groups[key], kept_axes), planes[key]) for key in planes]
    frames.sort(key=lambda pair: list(_indices(pair[0])))
    made.PerFrameFunctionalGroupsSequence = [group for group, _ in frames]
    made.NumberOfFrames = len(frames)
    pixels = b"".join(plane.tobytes() for _, plane in frames)
    made.add_new("PixelData", "OB", pixels + b"\0" * (len(pixels) % 2))
    seal_uids(made, kind="labelmap")
    return made


def _slice_group(group: Dataset, kept_axes: Sequence[int]) -> Dataset:
    """Return the functional groups of a frame as those of its slice, whatever its segment was."""
    made = copy.deepcopy(group)
    made.pop(_SEGMENT_ITEM, None)
    indices = _indices(made)
    made.FrameContentSequence[0].DimensionIndexValues = [indices[axis] for axis in kept_axes]
    return made


def _indices(group: Dataset) -> list[int]:
    values = group.FrameContentSequence[0].DimensionIndexValues
    return [int(value) for value in np.atleast_1d(values)]
