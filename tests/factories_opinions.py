"""What people make of a result with their own tools: SEG, SR and rejection notes."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
from factories_report import SeriesOnDisk
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage, generate_uid

from node.domain.code import Code
from node.report.provenance import concept

VIEWER = {
    "manufacturer": "Some Vendor",
    "manufacturer_model_name": "Viewer",
    "software_versions": "1",
    "device_serial_number": "1",
}


def write_human_seg(
    path: Path,
    series: SeriesOnDisk,
    masks: Sequence[NDArray[Any]],
    *,
    labels: Sequence[str] = (),
    tracking_uids: Sequence[str] = (),
    property_type: Any = codes.SCT.Neoplasm,
    categories: Sequence[Any] = (),
    algorithm: str = "MANUAL",
    author: str = "Reader^Anna",
    headers: Mapping[str, Any] | None = None,
) -> str:
    """Write masks (z, y, x) as segments; return the SOP Instance UID."""
    by_uid = {str(dcmread(p).SOPInstanceUID): dcmread(p) for p in series.paths}
    identity = hd.AlgorithmIdentificationSequence(
        name="other", version="1", family=codes.DCM.ArtificialIntelligence
    )
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=labels[number - 1] if labels else f"Lesion {number}",
            segmented_property_category=categories[number - 1]
            if categories
            else codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=property_type,
            algorithm_type=algorithm,
            algorithm_identification=None if algorithm == "MANUAL" else identity,
            tracking_uid=tracking_uids[number - 1] if tracking_uids else None,
            tracking_id=f"lesion {number}" if tracking_uids else None,
        )
        for number in range(1, len(masks) + 1)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        seg = hd.seg.Segmentation(
            source_images=[by_uid[uid] for uid in series.volume.source_uids],
            pixel_array=np.stack([np.asarray(mask, np.uint8) for mask in masks], axis=-1),
            segmentation_type="BINARY",
            segment_descriptions=described,
            series_instance_uid=generate_uid(),
            series_number=20,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            content_creator_name=author or None,
            **VIEWER,
        )
    for keyword, value in (headers or {}).items():
        setattr(seg, keyword, value)
    seg.save_as(path, enforce_file_format=True)
    return str(seg.SOPInstanceUID)


def write_human_sr(
    path: Path,
    series: SeriesOnDisk,
    own_seg: Path,
    assessments: Mapping[int, Code],
    *,
    tracking_uids: Mapping[int, str] | None = None,
    author: str = "Reader^Anna",
) -> str:
    """Write what a person says of the segments of a SEG; return the SOP Instance UID."""
    seg = dcmread(own_seg)
    groups = [
        hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.sr.TrackingIdentifier(
                uid=(tracking_uids or {}).get(number) or generate_uid(), identifier=f"L{number}"
            ),
            referenced_segment=hd.sr.ReferencedSegment(
                sop_class_uid=seg.SOPClassUID,
                sop_instance_uid=seg.SOPInstanceUID,
                segment_number=number,
                source_series=hd.sr.SourceSeriesForSegmentation(series.volume.series_instance_uid),
            ),
            finding_type=codes.SCT.Neoplasm,
            qualitative_evaluations=[
                hd.sr.QualitativeEvaluation(codes.DCM.LevelOfSignificance, concept(code))
            ],
        )
        for number, code in assessments.items()
    ]
    person = hd.sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name=author),
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_person_context=person),
        procedure_reported=codes.LN.MRIUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    sr = hd.sr.Comprehensive3DSR(
        evidence=[*(dcmread(p, stop_before_pixels=True) for p in series.paths), seg],
        content=content,
        series_instance_uid=generate_uid(),
        series_number=30,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Some Vendor",
    )
    sr.save_as(path, enforce_file_format=True)
    return str(sr.SOPInstanceUID)


def write_rejection(
    path: Path,
    rejected: Sequence[Path],
    *,
    title: tuple[str, str] = ("113001", "Rejected for Quality Reasons"),
) -> str:
    """Write a Key Object Selection about files; return the SOP Instance UID."""
    objects = [dcmread(each, stop_before_pixels=True) for each in rejected]
    note = Dataset()
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "StudyTime"):
        note[keyword] = objects[0][keyword]
    note.SOPClassUID, note.SOPInstanceUID = KeyObjectSelectionDocumentStorage, generate_uid()
    note.SeriesInstanceUID, note.Modality = generate_uid(), "KO"
    note.SeriesNumber = note.InstanceNumber = 1
    note.ContentDate, note.ContentTime = "20240313", "101112"
    note.Manufacturer = "Some PACS"
    note.ValueType, note.ContinuityOfContent = "CONTAINER", "SEPARATE"
    note.ConceptNameCodeSequence = [_item(title[0], title[1])]
    evidence = Dataset()
    evidence.StudyInstanceUID = note.StudyInstanceUID
    evidence.ReferencedSeriesSequence, note.ContentSequence = [], []
    for each in objects:
        reference, series, item = Dataset(), Dataset(), Dataset()
        reference.ReferencedSOPClassUID = each.SOPClassUID
        reference.ReferencedSOPInstanceUID = each.SOPInstanceUID
        series.SeriesInstanceUID, series.ReferencedSOPSequence = each.SeriesInstanceUID, [reference]
        evidence.ReferencedSeriesSequence.append(series)
        item.RelationshipType, item.ValueType = "CONTAINS", "COMPOSITE"
        item.ReferencedSOPSequence = [reference]
        note.ContentSequence.append(item)
    note.CurrentRequestedProcedureEvidenceSequence = [evidence]
    note.file_meta = FileMetaDataset()
    note.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    note.save_as(path, enforce_file_format=True)
    return str(note.SOPInstanceUID)


def _item(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
