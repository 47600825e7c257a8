"""Key Object Selection: points at the slices with the lesions, and at the picture of them.

References
----------
PS3.3 A.35.4 (Key Object Selection Document IOD), PS3.16 TID 2010.
"""

from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from node.report.provenance import RESEARCH_NOTICE
from node.report.stand_in import (
    SourceRef,
    begin_stand_in,
    evidence_items,
    key_sources,
    source_series,
)
from node.report.uids import seal_uids

OF_INTEREST = ("113000", "DCM", "Of Interest")
DESCRIPTION = ("113012", "DCM", "Key Object Description")


def build_key_object(seg: Dataset, capture: Dataset) -> Dataset:
    """Select the slice on which each lesion is largest, and the secondary capture.

    Parameters
    ----------
    seg : Dataset
        Tells the slices.
    capture : Dataset
        From ``build_secondary_capture``.
    """
    made = begin_stand_in(
        seg, kind="ko", sop_class_uid=KeyObjectSelectionDocumentStorage, modality="KO"
    )
    picture = SourceRef(
        sop_class_uid=str(capture.SOPClassUID), sop_instance_uid=str(capture.SOPInstanceUID)
    )
    keys = key_sources(seg)
    wanted = {key.sop_instance_uid for key in keys}
    series = {
        uid: [each for each in images if each.sop_instance_uid in wanted]
        for uid, images in source_series(seg).items()
    }
    evidence = {uid: images for uid, images in series.items() if images}
    made.ReferencedPerformedProcedureStepSequence = []
    made.CurrentRequestedProcedureEvidenceSequence = [
        evidence_items(
            str(seg.StudyInstanceUID), {**evidence, str(capture.SeriesInstanceUID): [picture]}
        )
    ]
    made.ValueType = "CONTAINER"
    made.ConceptNameCodeSequence = [_code(OF_INTEREST)]
    made.ContinuityOfContent = "SEPARATE"
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    made.ContentTemplateSequence = [template]
    text = Dataset()
    text.RelationshipType, text.ValueType = "CONTAINS", "TEXT"
    text.ConceptNameCodeSequence = [_code(DESCRIPTION)]
    text.TextValue = (
        f"AI result, {RESEARCH_NOTICE}: slices on which a lesion is largest, and a picture of them."
    )
    made.ContentSequence = [text, *(_image(each) for each in (*keys, picture))]
    seal_uids(made, kind="ko")
    return made


def _image(reference: SourceRef) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "IMAGE"
    item.ReferencedSOPSequence = [reference.to_item()]
    return item


def _code(parts: tuple[str, str, str]) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = parts
    return code
