"""RT Structure Set: the outlines of the lesions, for archives and viewers without SEG.

References
----------
PS3.3 A.19 (RT Structure Set IOD), C.8.8.5 (Structure Set), C.8.8.6 (ROI Contour), C.8.8.8 (RT ROI
Observations).
"""

import copy
from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from node.report.contours import trace_mask
from node.report.palette import lesion_colour
from node.report.provenance import RESEARCH_NOTICE
from node.report.stand_in import SourceImages, begin_stand_in, source_series
from node.report.uids import seal_uids
from node.report.verify import DecodedFrame, decode_frames

STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: retired, and what every structure set names its study by."""


def build_rtstruct(seg: Dataset) -> Dataset:
    """Build the structure set that says what a segmentation says.

    Parameters
    ----------
    seg : Dataset
        BINARY segmentation of this node.

    Returns
    -------
    Dataset
        One region for each segment, with its label, codes, and Tracking ID and UID (which are a
        standard extension here), its contours on the source images.
    """
    made = begin_stand_in(
        seg, kind="rtstruct", sop_class_uid=RTStructureSetStorage, modality="RTSTRUCT"
    )
    # Contour data may be longer than explicit VRs can tell, so such objects are stored implicit.
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    made.OperatorsName = ""
    made.ApprovalStatus = "UNAPPROVED"
    made.StructureSetLabel = "AI LESIONS"
    made.StructureSetName = f"AI outlines, {RESEARCH_NOTICE}"
    made.StructureSetDate, made.StructureSetTime = seg.ContentDate, seg.ContentTime
    made.FrameOfReferenceUID = seg.FrameOfReferenceUID
    made.PositionReferenceIndicator = seg.get("PositionReferenceIndicator") or ""
    made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(seg)]
    made.StructureSetROISequence = []
    made.ROIContourSequence = []
    made.RTROIObservationsSequence = []
    images = SourceImages(seg)
    frames_of: dict[int, list[DecodedFrame]] = {}
    for frame in decode_frames(seg):
        frames_of.setdefault(frame.segment, []).append(frame)
    for segment in seg.SegmentSequence:
        number = int(segment.SegmentNumber)
        made.StructureSetROISequence.append(_region(segment, number, seg))
        made.ROIContourSequence.append(_contours(images, number, frames_of.get(number, ())))
        made.RTROIObservationsSequence.append(_observation(segment, number))
    seal_uids(made, kind="rtstruct")
    return made


def _frame_of_reference(seg: Dataset) -> Dataset:
    study = Dataset()
    study.ReferencedSOPClassUID = STUDY_COMPONENT
    study.ReferencedSOPInstanceUID = seg.StudyInstanceUID
    study.RTReferencedSeriesSequence = []
    for uid, images in source_series(seg).items():
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ContourImageSequence = [image.to_item() for image in images]
        study.RTReferencedSeriesSequence.append(series)
    frame = Dataset()
    frame.FrameOfReferenceUID = seg.FrameOfReferenceUID
    frame.RTReferencedStudySequence = [study]
    return frame


def _region(segment: Dataset, number: int, seg: Dataset) -> Dataset:
    region = Dataset()
    region.ROINumber = number
    region.ReferencedFrameOfReferenceUID = seg.FrameOfReferenceUID
    region.ROIName = str(segment.SegmentLabel)
    region.ROIDescription = RESEARCH_NOTICE
    region.ROIGenerationAlgorithm = "AUTOMATIC"
    for keyword in ("TrackingID", "TrackingUID"):
        if keyword in segment:
            region[keyword] = copy.deepcopy(segment[keyword])
    return region


def _contours(images: SourceImages, number: int, frames: Sequence[DecodedFrame]) -> Dataset:
    drawn = Dataset()
    drawn.ReferencedROINumber = number
    drawn.ROIDisplayColor = list(lesion_colour(number))
    found: list[Dataset] = []
    for frame in frames:
        image = images.refer(frame.source_uid, frame.source_frame)
        for polygon in trace_mask(frame.pixels):
            lps_mm = (
                frame.position_mm
                + polygon[:, 1:] * frame.column_step_mm
                + polygon[:, :1] * frame.row_step_mm
            )
            contour = Dataset()
            contour.ContourImageSequence = [image.to_item()]
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(lps_mm)
            contour.ContourData = [f"{value:.3f}" for value in np.ravel(lps_mm)]
            contour.ContourNumber = len(found) + 1
            found.append(contour)
    if found:
        drawn.ContourSequence = found
    return drawn


def _observation(segment: Dataset, number: int) -> Dataset:
    observation = Dataset()
    observation.ObservationNumber = number
    observation.ReferencedROINumber = number
    observation.ROIObservationLabel = str(segment.SegmentLabel)[:16]
    observation.RTROIInterpretedType = ""
    observation.ROIInterpreter = ""
    observation.RTROIIdentificationCodeSequence = copy.deepcopy(
        segment.SegmentedPropertyTypeCodeSequence
    )
    if "AnatomicRegionSequence" in segment:
        observation.AnatomicRegionSequence = copy.deepcopy(segment.AnatomicRegionSequence)
    return observation
