"""Encapsulated PDF: the report on paper as a DICOM object.

References
----------
PS3.3 A.45.1 (Encapsulated PDF IOD), C.24.1 (Encapsulated Document Series), C.24.2 (Encapsulated
Document).
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from node.config.settings import ReportSettings
from node.domain.report import Report
from node.report.provenance import (
    RESEARCH_NOTICE,
    equipment_of,
    plain_text,
    series_description,
    stamp,
)
from node.report.sources import complete_headers
from node.report.stand_in import SERIES_AFTER_SEG, copy_study
from node.report.uids import PENDING_UID, seal_uids

_TITLE_LENGTH = 1024


def build_encapsulated_pdf(
    pdf: bytes, report: Report, sources: Sequence[Dataset], *, settings: ReportSettings
) -> Dataset:
    """Wrap the PDF of a report.

    Parameters
    ----------
    pdf : bytes
    report : Report
    sources : sequence of Dataset
        Headers of the distinct source instances, in the order of the slices.
    settings : ReportSettings
    """
    header = complete_headers(sources)[0]
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = UID(EncapsulatedPDFStorage)
    copy_study(made, header)
    _describe_series(made, report, settings)
    stamp(made, sources=sources, model=report.model)
    for keyword in ("BodyPartExamined", "Laterality"):  # of images; documents have none
        made.pop(keyword, None)
    made.AcquisitionDateTime = None
    made.InstanceNumber = 1
    made.BurnedInAnnotation = "YES"
    made.DocumentTitle = plain_text(
        f"AI imaging report, {report.model.name} {report.model.version}, {RESEARCH_NOTICE}",
        _TITLE_LENGTH,
    )
    title = codes.DCM.ImagingMeasurementReport
    concept = Dataset()
    concept.CodeValue, concept.CodingSchemeDesignator = title.value, title.scheme_designator
    concept.CodeMeaning = title.meaning
    made.ConceptNameCodeSequence = [concept]
    made.VerificationFlag = "UNVERIFIED"
    made.SourceInstanceSequence = _sources_shown(report, sources)
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    seal_uids(made, kind="pdf")
    return made


def _describe_series(made: Dataset, report: Report, settings: ReportSettings) -> None:
    made.SOPClassUID = UID(EncapsulatedPDFStorage)
    made.SOPInstanceUID = made.SeriesInstanceUID = PENDING_UID
    made.Modality = "DOC"
    made.ConversionType = "SYN"
    made.SeriesNumber = settings.seg_series_number + SERIES_AFTER_SEG["pdf"]
    made.SeriesDescription = series_description("PDF", report.model)
    equipment = equipment_of(report.model)
    made.Manufacturer = equipment["manufacturer"]
    made.ManufacturerModelName = equipment["manufacturer_model_name"]
    made.DeviceSerialNumber = equipment["device_serial_number"]
    made.SoftwareVersions = equipment["software_versions"]


def _sources_shown(report: Report, sources: Sequence[Dataset]) -> list[Dataset]:
    """References to the images that the pages show: the largest slice of each lesion."""
    segmentation = report.segmentation
    slices = [lesion.largest_slice for lesion in segmentation.lesions]
    shown = slices or [segmentation.geometry.shape[0] // 2]
    by_uid = {str(source.SOPInstanceUID): source for source in sources}
    items = []
    for uid in dict.fromkeys(segmentation.source_uids[k] for k in shown):
        item = Dataset()
        item.ReferencedSOPClassUID = by_uid[uid].SOPClassUID
        item.ReferencedSOPInstanceUID = uid
        items.append(item)
    return items
