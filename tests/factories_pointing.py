"""SEG, RTSTRUCT and SR objects that point at things in a CT series, as others write them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from node.domain.volume import Volume

VENDOR = {
    "manufacturer": "Some Vendor",
    "manufacturer_model_name": "Viewer",
    "software_versions": "1",
    "device_serial_number": "1",
}


def images_of(directory: Path) -> list[Dataset]:
    """The CT slices that ``write_ct_series`` wrote, in their order."""
    return [dcmread(path) for path in sorted(directory.glob("CT.*.dcm"))]


def write_seg(
    directory: Path,
    masks: Mapping[str, np.ndarray],
    *,
    kind: str = "BINARY",
    categories: Mapping[str, object] | None = None,
    types: Mapping[str, object] | None = None,
    made_by: Mapping[str, str] = VENDOR,
) -> str:
    """Write masks by their labels as one SEG; return its SOP Instance UID."""
    images = images_of(directory)
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=(categories or {}).get(label, codes.SCT.Tissue),
            segmented_property_type=(types or {}).get(label, codes.SCT.Tissue),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(masks, start=1)
    ]
    pixels = np.stack(list(masks.values()), axis=-1)
    seg = hd.seg.Segmentation(
        source_images=images,
        pixel_array=pixels.astype(np.uint8 if kind == "BINARY" else np.float32),
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=20,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        **made_by,
    )
    seg.save_as(directory / f"seg-{seg.SOPInstanceUID}.dcm")
    return str(seg.SOPInstanceUID)


def write_rtstruct(
    directory: Path,
    structures: Mapping[str, Sequence[np.ndarray]],
    *,
    types: Mapping[str, str] | None = None,
    geometric_type: str = "CLOSED_PLANAR",
    frame_of_reference_uid: str = "",
    reference_series: bool = True,
) -> str:
    """Write contours (n, 3) in LPS mm by the names of their structures; return the UID."""
    image = images_of(directory)[0]
    frame_uid = frame_of_reference_uid or image.FrameOfReferenceUID
    ds = Dataset()
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate", "StudyTime"):
        ds[keyword] = image[keyword]
    ds.SOPClassUID = RTStructureSetStorage
    ds.SOPInstanceUID = generate_uid()
    ds.SeriesInstanceUID = generate_uid()
    ds.Modality = "RTSTRUCT"
    ds.Manufacturer = "Some Vendor"
    ds.StructureSetLabel = "PLAN"
    frame = Dataset()
    frame.FrameOfReferenceUID = frame_uid
    if reference_series:
        series, study = Dataset(), Dataset()
        series.SeriesInstanceUID = image.SeriesInstanceUID
        study.RTReferencedSeriesSequence = [series]
        frame.RTReferencedStudySequence = [study]
    ds.ReferencedFrameOfReferenceSequence = [frame]
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    ds.RTROIObservationsSequence = []
    for number, (name, contours) in enumerate(structures.items(), start=1):
        roi, drawn, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        roi.ReferencedFrameOfReferenceUID = frame_uid
        drawn.ReferencedROINumber = observed.ReferencedROINumber = number
        drawn.ContourSequence = [_contour(points, geometric_type) for points in contours]
        observed.ObservationNumber = number
        observed.RTROIInterpretedType = (types or {}).get(name, "")
        ds.StructureSetROISequence.append(roi)
        ds.ROIContourSequence.append(drawn)
        ds.RTROIObservationsSequence.append(observed)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(directory / "rtstruct.dcm", enforce_file_format=True)
    return str(ds.SOPInstanceUID)


def _contour(points: np.ndarray, geometric_type: str) -> Dataset:
    contour = Dataset()
    contour.ContourGeometricType = geometric_type
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [f"{value:.4f}" for value in np.ravel(points)]
    return contour


def disc_contours(volume: Volume, centre, radius_mm: float) -> list[np.ndarray]:
    """Outline of a ball on each slice that cuts it, LPS mm."""
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    contours = []
    for k in range(volume.voxels.shape[0]):
        height = volume.geometry.to_lps((k, 0, 0))[2] - centre[2]
        if abs(height) < radius_mm:
            r = np.sqrt(radius_mm**2 - height**2)
            x, y = centre[0] + r * np.cos(turn), centre[1] + r * np.sin(turn)
            contours.append(np.column_stack([x, y, np.full_like(x, centre[2] + height)]))
    return contours


def write_sr(
    directory: Path,
    groups: Mapping[str, tuple[str, np.ndarray]],
    *,
    slice_index: int = 0,
    in_space: bool = False,
) -> str:
    """Write one planar measurement group for each tracking identifier; return the UID.

    Parameters
    ----------
    groups : mapping of str to (graphic type, points)
        Points are columns and rows of the slice (SCOORD), or LPS mm (SCOORD3D).
    """
    images = images_of(directory)
    image = images[slice_index]
    rois = []
    for name, (graphic, points) in groups.items():
        if in_space:
            region = hd.sr.ImageRegion3D(
                graphic_type=hd.sr.GraphicTypeValues3D(graphic),
                graphic_data=np.asarray(points, float),
                frame_of_reference_uid=image.FrameOfReferenceUID,
            )
        else:
            region = hd.sr.ImageRegion(
                graphic_type=hd.sr.GraphicTypeValues(graphic),
                graphic_data=np.asarray(points, float),
                source_image=hd.sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID),
            )
        rois.append(
            hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=hd.sr.TrackingIdentifier(uid=generate_uid(), identifier=name),
                referenced_region=region,
                finding_type=codes.SCT.Nodule,
            )
        )
    person = hd.sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name="Doe^Jane"),
    )
    report = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_person_context=person),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=rois,
    )
    sr = hd.sr.Comprehensive3DSR(
        evidence=images,
        content=report,
        series_instance_uid=generate_uid(),
        series_number=30,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Some Vendor",
    )
    sr.save_as(directory / "sr.dcm")
    return str(sr.SOPInstanceUID)
