"""Structured report: TID 1500, one measurement group for each lesion, never silent."""

import warnings
from collections.abc import Sequence

from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.sr import (
    CodeContentItem,
    Comprehensive3DSR,
    ComprehensiveSR,
    ContainerContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    MeasurementReport,
    ObservationContext,
    ObserverContext,
    RelationshipTypeValues,
)
from highdicom.sr.value_types import ContentItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes

import node
from node.config.settings import ReportSettings
from node.domain.code import Code
from node.domain.report import ModelIdentity, Report
from node.domain.volume import Volume
from node.report import codes
from node.report.fault import ReportFault
from node.report.provenance import (
    LONG_STRING,
    PRODUCT_NAME,
    RESEARCH_NOTICE,
    concept,
    equipment_of,
    plain_text,
    series_description,
    stamp,
)
from node.report.sources import complete_headers
from node.report.sr_change import earlier_documents, response_items, tell_comparison
from node.report.sr_groups import MeasurementGroup, absent_group, lesion_group, missing_group
from node.report.sr_items import text_item
from node.report.uids import PENDING_UID, seal_uids


def build_sr(
    report: Report,
    sources: Sequence[Dataset],
    seg: Dataset | None,
    *,
    settings: ReportSettings,
    volume: Volume | None = None,
    pointing: Sequence[Dataset] = (),
) -> Dataset:
    """Build the structured report.

    Parameters
    ----------
    report : Report
    sources : sequence of Dataset
        Headers of the distinct source instances, in the order of the slices.
    seg : Dataset or None
        Segmentation of the same report; None where nothing was found.
    settings : ReportSettings
    volume : Volume, optional
        Adds what is measured on the voxels (mean attenuation in CT).
    pointing : sequence of Dataset
        Headers of the objects that pointed at the lesions; named as evidence.

    Returns
    -------
    Dataset
        Comprehensive 3D SR, or Comprehensive SR where the settings ask for it. An image library
        is left out: it would repeat the headers of every slice, and the evidence sequence and
        the source series of each segment already name them.

    Raises
    ------
    ReportFault
        If there are lesions but no segmentation, or findings and lesions do not match.

    References
    ----------
    PS3.16 TID 1500, 1411, 1501; PS3.3 sections A.35.3 and A.35.13.
    """
    headers = complete_headers(sources)
    content = _compose(report, headers, seg, volume)
    seen = [*headers, *([seg] if seg is not None else []), *pointing]
    missing = report.completeness.missing or "some"
    partial = f"Incomplete study: {missing} image{'' if missing == 1 else 's'} missing"
    return make_document(
        content,
        evidence=[*seen, *earlier_documents(report.comparison)],
        sources=sources,
        model=report.model,
        settings=settings,
        partial=partial if report.completeness.is_partial else "",
        previous_versions=_predecessors(report),
    )


def make_document(
    content: MeasurementReport,
    *,
    evidence: Sequence[Dataset],
    sources: Sequence[Dataset],
    model: ModelIdentity,
    settings: ReportSettings,
    partial: str = "",
    previous_versions: list[Dataset] | None = None,
) -> Dataset:
    """Make the SR document around its content.

    Parameters
    ----------
    content : MeasurementReport
    evidence : sequence of Dataset
        Headers, as ``complete_headers`` gives them, of everything that was looked at.
    sources : sequence of Dataset
        Headers of the images as they were read.
    model : ModelIdentity
    settings : ReportSettings
    partial : str
        Why it is PARTIAL; empty for a complete one.
    previous_versions : list of Dataset, optional
        The document that it takes the place of.
    """
    kind = ComprehensiveSR if settings.comprehensive_sr else Comprehensive3DSR
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # foreign values: complained of on receipt
        built = kind(
            evidence=evidence,
            content=content[0],
            series_instance_uid=PENDING_UID,
            series_number=settings.sr_series_number,
            sop_instance_uid=PENDING_UID,
            instance_number=1,
            series_description=series_description("SR", model),
            is_complete=not partial,
            previous_versions=previous_versions,
            is_final=False,
            is_verified=False,
            requested_procedures=_requested_procedures(sources[0]),
            coding_schemes=_coding_schemes(),
            specific_character_set=None,
            **equipment_of(model),
        )
    if partial:
        built.CompletionFlagDescription = plain_text(partial, LONG_STRING)
    stamp(built, sources=sources, model=model)
    seal_uids(built, kind="sr")
    return built


def _predecessors(report: Report) -> list[Dataset] | None:
    """Predecessor document (PS3.3 table C.17-2), as highdicom wants to read it."""
    if report.predecessor is None:
        return None
    document = Dataset()
    document.StudyInstanceUID = report.predecessor.study_instance_uid
    document.SeriesInstanceUID = report.predecessor.series_instance_uid
    document.SOPClassUID = report.predecessor.sop_class_uid
    document.SOPInstanceUID = report.predecessor.sop_instance_uid
    return [document]


def _compose(
    report: Report, headers: Sequence[Dataset], seg: Dataset | None, volume: Volume | None
) -> MeasurementReport:
    source_series_uid = str(headers[0].SeriesInstanceUID)
    evaluated = _what_was_evaluated(report, headers[0])
    lesions = report.segmentation.lesions
    findings = {finding.lesion_number: finding for finding in report.findings}
    assessed = lesions if report.model.classifier_name else ()
    if sorted(findings) != [lesion.number for lesion in assessed]:
        raise ReportFault(f"{len(lesions)} lesions, findings for {sorted(findings)}")
    if lesions and seg is None:
        raise ReportFault("lesions were found but no segmentation shows them")
    groups: list[MeasurementGroup] = [
        lesion_group(
            lesion=lesion,
            finding=findings.get(lesion.number),
            report=report,
            seg=seg,
            source_series_uid=source_series_uid,
            volume=volume,
        )
        for lesion in lesions
        if seg is not None
    ]
    if not groups:
        groups.append(absent_group(report, source_series_uid, evaluated))
    missing = report.comparison
    for change in (*missing.vanished, *missing.unseen) if missing else ():
        group = missing_group(change, report)
        groups += [group] if group is not None else []
    content = MeasurementReport(
        observation_context=observer_of(report.model),
        procedure_reported=concept(procedure_of(headers[0])),
        imaging_measurements=groups,
        title=dicom_codes.DCM.ImagingMeasurementReport,
    )
    content[0].ContentSequence.append(_conclusion(report, evaluated))
    return content


def procedure_of(header: Dataset) -> Code:
    """Return the procedure that a report on such images is about."""
    modality = str(header.get("Modality"))
    if modality not in codes.PROCEDURES:
        raise ReportFault(f"no procedure code for modality {modality}")
    return codes.PROCEDURES[modality]


def observer_of(model: ModelIdentity) -> ObservationContext:
    """Return the node and its model as the observer."""
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=dicom_codes.DCM.Device,
            observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
                uid=model.device_uid,
                name=plain_text(f"{model.name} {model.version}", LONG_STRING),
                manufacturer_name=plain_text(model.manufacturer, LONG_STRING),
                model_name=plain_text(f"{PRODUCT_NAME} {node.__version__}", LONG_STRING),
                serial_number=model.digest[:16],
            ),
        )
    )


def _conclusion(report: Report, evaluated: str) -> ContainerContentItem:
    """Qualitative evaluations of the whole study (PS3.16 TID 1500, rows 12 to 14)."""
    container = ContainerContentItem(
        name=concept(codes.QUALITATIVE_EVALUATIONS),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    found = len(report.segmentation.lesions)
    partial = report.completeness.is_partial
    texts = (
        f"{'PARTIAL: ' * partial}{found} lesion{'' if found == 1 else 's'} found. {evaluated}",
        *(f"Limitation: {text}" for text in report.completeness.limitations if partial),
        *(tell_comparison(report.comparison) if report.comparison else ()),
        *report.remarks,
        f"Limitations: {report.model.limitations}",
        f"AI result for {RESEARCH_NOTICE}; not verified by a person.",
    )
    items: list[ContentItem] = [text_item(codes.COMMENT, text) for text in texts]
    if not found:
        items.insert(
            0,
            CodeContentItem(
                name=concept(codes.PRESENCE),
                value=concept(codes.ABSENT),
                relationship_type=RelationshipTypeValues.CONTAINS,
            ),
        )
    items += response_items(report.comparison)
    container.ContentSequence = ContentSequence(items)
    return container


def _what_was_evaluated(report: Report, header: Dataset) -> str:
    geometry = report.segmentation.geometry
    slices, rows, columns = geometry.shape
    thickness_mm, row_mm, column_mm = geometry.spacing_mm
    told = header.get("SeriesNumber")
    number = "unknown" if told in (None, "") else told
    everything = "" if report.completeness.is_partial else "all "
    return (
        f"Evaluated: {everything}{slices} slices of {rows} x {columns} pixels of {header.Modality} "
        f"series number {number}, voxels of {column_mm:.2f} x "
        f"{row_mm:.2f} x {thickness_mm:.2f} mm."
    )


def _requested_procedures(source: Dataset) -> list[Dataset] | None:
    """Referenced request, where the source names its order (PS3.3 table C.17-3)."""
    accession_number = source.get("AccessionNumber")
    if not accession_number:
        return None
    order = (source.get("RequestAttributesSequence") or [Dataset()])[0]
    request = Dataset()
    request.StudyInstanceUID = source.StudyInstanceUID
    request["AccessionNumber"] = source["AccessionNumber"]
    request.ReferencedStudySequence = []
    for keyword in ("RequestedProcedureID", "RequestedProcedureDescription"):
        if keyword in order:
            request[keyword] = order[keyword]
        else:
            setattr(request, keyword, None)
    request.RequestedProcedureCodeSequence = []
    request.PlacerOrderNumberImagingServiceRequest = None
    request.FillerOrderNumberImagingServiceRequest = None
    return [request]


def _coding_schemes() -> list[CodingSchemeIdentificationItem]:
    return [
        CodingSchemeIdentificationItem(
            designator=codes.PRIVATE_SCHEME,
            name=codes.PRIVATE_SCHEME_NAME,
            responsible_organization=PRODUCT_NAME,
        ),
        CodingSchemeIdentificationItem(
            designator="IBSI",
            name=codes.IBSI_SCHEME_NAME,
            registry="HL7",
            uid=codes.IBSI_SCHEME_UID,
        ),
    ]
