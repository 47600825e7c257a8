"""Other forms of a structured report that was made: another SOP class, or without segmentation.

Nothing that was found is left out. The content uses no value type that is special to Comprehensive
3D SR, so the lesser classes hold it whole. Basic Text SR, which has neither numbers nor a tree
with numbers in it, is not among them.

References
----------
PS3.3 A.35.2 (Enhanced SR), A.35.3 (Comprehensive SR), A.35.13 (Comprehensive 3D SR); PS3.16
TID 1411 and TID 1501.
"""

import copy

from pydicom.dataset import Dataset
from pydicom.uid import UID, SegmentationStorage

from node.report.uids import PENDING_UID, seal_uids

REFERENCED_SEGMENT = "121191"
SOURCE_SERIES_FOR_SEGMENTATION = "121232"
VOLUMETRIC_GROUP, PLAIN_GROUP = "1411", "1501"


def recast_sr(sr: Dataset, sop_class_uid: str) -> Dataset:
    """Return the same report as another SOP class, under UIDs of its own."""
    made = _pending(sr)
    made.SOPClassUID = UID(sop_class_uid)
    made.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    seal_uids(made, kind="sr")
    return made


def without_segments(sr: Dataset) -> Dataset:
    """Return the same report for where its segmentation is not: no reference leads astray.

    Measurement groups keep their Tracking UIDs, which structure set and segmentation share. A
    report that names no segmentation is returned as it is.
    """
    if not _names_segments(sr):
        return sr
    made = _pending(sr)
    _leave_out_segments(made)
    for study in made.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            series.ReferencedSOPSequence = [
                item
                for item in series.ReferencedSOPSequence
                if item.ReferencedSOPClassUID != SegmentationStorage
            ]
        study.ReferencedSeriesSequence = [
            series for series in study.ReferencedSeriesSequence if series.ReferencedSOPSequence
        ]
    seal_uids(made, kind="sr")
    return made


def _names_segments(sr: Dataset) -> bool:
    return any(
        item.ReferencedSOPClassUID == SegmentationStorage
        for study in sr.get("CurrentRequestedProcedureEvidenceSequence", ())
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    )


def _pending(sr: Dataset) -> Dataset:
    made = copy.deepcopy(sr)
    made.SOPInstanceUID = made.SeriesInstanceUID = PENDING_UID
    return made


def _leave_out_segments(container: Dataset) -> None:
    items = container.get("ContentSequence")
    if not items:
        return
    kept = [
        item
        for item in items
        if _concept(item) not in (REFERENCED_SEGMENT, SOURCE_SERIES_FOR_SEGMENTATION)
    ]
    if len(kept) < len(items):
        container.ContentSequence = kept
        for template in container.get("ContentTemplateSequence", ()):
            if template.TemplateIdentifier == VOLUMETRIC_GROUP:
                template.TemplateIdentifier = PLAIN_GROUP
    for item in kept:
        _leave_out_segments(item)


def _concept(item: Dataset) -> str:
    name = item.get("ConceptNameCodeSequence")
    return str(name[0].CodeValue) if name and name[0].get("CodingSchemeDesignator") == "DCM" else ""
