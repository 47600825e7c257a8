"""Second look at a SEG before it is sent, with none of the code that wrote it.

Bits are unpacked and positions computed here from the standard's text alone, so that an error of
the library that built the object, or in how it was called, cannot hide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.domain.segmentation import Segmentation
from node.report.fault import ReportFault

__all__ = ["DecodedFrame", "ReportFault", "check_seg_geometry", "decode_frames"]

# Slices of real series stray a little from the regular grid of the volume; a tenth of a voxel is
# more than assemble lets pass and far less than any wrong order, flip or shift would cause.
GRID_TOLERANCE = 0.1
POSITION_TOLERANCE_MM = 0.01


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedFrame:
    """One frame of a SEG as the standard reads it."""

    number: int
    segment: int
    pixels: NDArray[np.bool_]
    position_mm: NDArray[np.float64]
    column_step_mm: NDArray[np.float64]
    row_step_mm: NDArray[np.float64]
    source_uid: str
    source_frame: int

    def lps_mm(self) -> NDArray[np.float64]:
        """LPS positions in mm of the foreground, shape (n, 3) (PS3.3 equation C.7.6.2.1-1)."""
        rows, columns = np.nonzero(self.pixels)
        return np.asarray(
            self.position_mm
            + columns[:, None] * self.column_step_mm
            + rows[:, None] * self.row_step_mm
        )


def check_seg_geometry(
    seg: Dataset, segmentation: Segmentation, sources: Sequence[Dataset]
) -> None:
    """Decode a SEG and compare every voxel with the mask in patient space.

    Parameters
    ----------
    seg : Dataset
        BINARY segmentation, as it will be sent.
    segmentation : Segmentation
        What it must say.
    sources : sequence of Dataset
        Headers of the source instances.

    Raises
    ------
    ReportFault
        If any voxel, position, reference or frame of reference differs.
    """
    _check_frame_of_reference(seg, sources)
    positions = _source_positions(sources)
    slice_of = {
        key: k
        for k, key in enumerate(
            zip(segmentation.source_uids, segmentation.source_frames, strict=True)
        )
    }
    decoded = np.zeros(segmentation.geometry.shape, dtype=np.uint8)
    for frame in decode_frames(seg):
        key = (frame.source_uid, frame.source_frame)
        if key not in slice_of:
            raise ReportFault(f"frame {frame.number} refers to {key}, which is no slice")
        apart = float(np.abs(positions[key] - frame.position_mm).max())
        if apart > POSITION_TOLERANCE_MM:
            raise ReportFault(f"frame {frame.number} lies {apart:.3f} mm off its source")
        _place(frame, segmentation, slice_of[key], decoded)
    # slice by slice: comparing a whole CT at once takes as much memory again
    planes = zip(decoded, segmentation.labels, strict=True)
    wrong = sum(int(np.count_nonzero(found != wanted)) for found, wanted in planes)
    if wrong:
        raise ReportFault(f"{wrong} voxels of the written segmentation differ from the mask")


def decode_frames(seg: Dataset) -> Iterator[DecodedFrame]:
    """Read the frames of a BINARY segmentation.

    Raises
    ------
    ReportFault
        If it is not BINARY, or pixel data and frame count disagree.
    """
    if (seg.SegmentationType, seg.BitsAllocated) != ("BINARY", 1):
        raise ReportFault(f"expected BINARY of 1 bit, found {seg.SegmentationType}")
    rows, columns = int(seg.Rows), int(seg.Columns)
    groups = seg.PerFrameFunctionalGroupsSequence
    size = rows * columns
    data = np.frombuffer(seg.PixelData, dtype=np.uint8)
    if len(groups) != int(seg.NumberOfFrames) or not 0 <= len(data) * 8 - size * len(groups) < 16:
        raise ReportFault("pixel data, frame count and functional groups disagree")
    shared = seg.SharedFunctionalGroupsSequence[0]
    for index, group in enumerate(groups):
        first = index * size
        # Frames follow each other bit by bit, least significant first (PS3.5 section 8.1.1).
        chunk = np.unpackbits(data[first // 8 : -(-(first + size) // 8)], bitorder="little")
        bits = chunk[first % 8 : first % 8 + size]
        orientation = np.array(
            _item("PlaneOrientationSequence", group, shared).ImageOrientationPatient, float
        )
        row_mm, column_mm = (
            float(step) for step in _item("PixelMeasuresSequence", group, shared).PixelSpacing
        )
        source = _item("DerivationImageSequence", group, shared).SourceImageSequence[0]
        identified = _item("SegmentIdentificationSequence", group, shared)
        yield DecodedFrame(
            number=index + 1,
            segment=int(identified.ReferencedSegmentNumber),
            pixels=bits.reshape(rows, columns).astype(bool),
            position_mm=np.array(
                _item("PlanePositionSequence", group, shared).ImagePositionPatient, float
            ),
            column_step_mm=orientation[:3] * column_mm,
            row_step_mm=orientation[3:] * row_mm,
            source_uid=str(source.ReferencedSOPInstanceUID),
            source_frame=int(source.get("ReferencedFrameNumber") or 1),
        )


def _place(
    frame: DecodedFrame, segmentation: Segmentation, k: int, decoded: NDArray[np.uint8]
) -> None:
    lps_mm = frame.lps_mm()
    if not len(lps_mm):
        return
    index = segmentation.geometry.to_index(lps_mm)
    voxel = np.rint(index).astype(int)
    if float(np.abs(index - voxel).max()) > GRID_TOLERANCE:
        raise ReportFault(f"frame {frame.number} lies between the voxels of the mask")
    if (voxel < 0).any() or (voxel >= segmentation.geometry.shape).any():
        raise ReportFault(f"frame {frame.number} lies outside the mask")
    if (voxel[:, 0] != k).any():
        raise ReportFault(f"frame {frame.number} lies on another slice than it refers to")
    where = tuple(voxel.T)
    if decoded[where].any():
        raise ReportFault(f"frame {frame.number} overlaps another segment")
    decoded[where] = frame.segment


def _item(keyword: str, group: Dataset, shared: Dataset) -> Dataset:
    for holder in (group, shared):
        if keyword in holder:
            return holder[keyword].value[0]
    raise ReportFault(f"no {keyword} in the functional groups")


def _check_frame_of_reference(seg: Dataset, sources: Sequence[Dataset]) -> None:
    for source in sources:
        uid = source.get("FrameOfReferenceUID")
        if uid and uid != seg.FrameOfReferenceUID:
            raise ReportFault("segmentation and source have different frames of reference")


def _source_positions(sources: Sequence[Dataset]) -> dict[tuple[str, int], NDArray[np.float64]]:
    positions: dict[tuple[str, int], NDArray[np.float64]] = {}
    for source in sources:
        uid = str(source.SOPInstanceUID)
        if "PerFrameFunctionalGroupsSequence" not in source:
            positions[uid, 1] = np.array(source.ImagePositionPatient, float)
            continue
        shared = source.SharedFunctionalGroupsSequence[0]
        for number, group in enumerate(source.PerFrameFunctionalGroupsSequence, start=1):
            plane = _item("PlanePositionSequence", group, shared)
            positions[uid, number] = np.array(plane.ImagePositionPatient, float)
    return positions
