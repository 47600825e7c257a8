"""Small series of every shape, with a known mask, and reports about them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from node.domain.code import Code
from node.domain.finding import BENIGN, INDETERMINATE, MALIGNANT, Finding
from node.domain.geometry import Geometry
from node.domain.report import ModelIdentity, Report
from node.domain.segmentation import Lesion, Segmentation
from node.domain.volume import Volume
from node.report.uids import derive_uid

MODEL = ModelIdentity(
    name="brain-t1ce",
    version="1.0.0",
    digest="5f" * 32,
    device_uid=derive_uid("device", "5f"),
    manufacturer="OncoNode project",
    anatomic_region=Code(value="12738006", scheme="SCT", meaning="Brain"),
    finding_type=Code(value="108369006", scheme="SCT", meaning="Neoplasm"),
    segmenter_name="brain-t1ce residual U-Net",
    classifier_name="brain-t1ce SVM",
    limitations="Trained on T1-weighted images with contrast agent only.",
)

FEATURES = {
    "original_shape_Sphericity": 0.7312345678,
    "original_firstorder_Entropy": 3.21,
    "original_glcm_JointEnergy": 0.0123456789,
    "original_shape_MeshVolume": 15234.123456,
    "wavelet-LLH_glszm_LargeAreaHighGrayLevelEmphasis": 1234567.891,
    "original_glcm_MCC": float("nan"),
}


@dataclass(frozen=True, kw_only=True)
class SeriesOnDisk:
    """A series in files, and as the volume that was read from them."""

    paths: tuple[Path, ...]
    volume: Volume


def axes(
    *,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float] = (4.0, 1.0, 0.8),
    rotation_deg: tuple[float, float, float] = (0, 0, 0),
    tilt_deg: float = 0,
) -> Geometry:
    """An axial grid, turned about x, y and z, sheared by a gantry tilt."""
    x, y, z = np.deg2rad(rotation_deg)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    turn = about_x @ about_y @ about_z
    slices_mm, rows_mm, columns_mm = spacing_mm
    tilt = np.deg2rad(tilt_deg)
    slice_step = turn @ np.array([0, np.sin(tilt), np.cos(tilt)]) * slices_mm
    return Geometry.from_axes(
        origin_mm=turn @ np.array([-31.5, -42.25, 17.125]),
        slice_step_mm=slice_step,
        row_step_mm=turn @ np.array([0, rows_mm, 0]),
        column_step_mm=turn @ np.array([columns_mm, 0, 0]),
        shape=shape,
    )


def make_series(
    folder: Path,
    geometry: Geometry,
    *,
    modality: str = "MR",
    headers: dict[str, Any] | None = None,
    left_out: tuple[str, ...] = (),
    reversed_files: bool = False,
) -> SeriesOnDisk:
    """Write a classic series and return it as a volume."""
    folder.mkdir(parents=True, exist_ok=True)
    slices = []
    stored = _voxels(geometry.shape)
    for k in range(geometry.shape[0]):
        dataset = _patient_and_study(headers or {}, left_out)
        _image(dataset, modality, k, stored[k])
        _plane(dataset, geometry, k)
        for keyword, value in (headers or {}).items():
            setattr(dataset, keyword, value)
        for keyword in left_out:
            if keyword in dataset:
                delattr(dataset, keyword)
        slices.append(dataset)
    paths = []
    for k, dataset in enumerate(slices):
        number = geometry.shape[0] - k if reversed_files else k + 1
        dataset.InstanceNumber = number
        path = folder / f"{number:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    volume = Volume(
        voxels=stored.astype(np.int16) - (1024 if modality == "CT" else 0),
        geometry=geometry,
        modality=modality,
        study_instance_uid=str(slices[0].StudyInstanceUID),
        series_instance_uid=str(slices[0].SeriesInstanceUID),
        frame_of_reference_uid=str(slices[0].get("FrameOfReferenceUID", "")),
        source_uids=tuple(str(dataset.SOPInstanceUID) for dataset in slices),
        source_frames=(1,) * len(slices),
    )
    return SeriesOnDisk(paths=tuple(sorted(paths)), volume=volume)


def make_enhanced_series(folder: Path, geometry: Geometry) -> SeriesOnDisk:
    """Write one Enhanced MR object whose odd frames are a second echo at the same places."""
    folder.mkdir(parents=True, exist_ok=True)
    dataset = _patient_and_study({}, ())
    stored = _voxels(geometry.shape)
    _image(dataset, "MR", 0, stored[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        if keyword in dataset:
            delattr(dataset, keyword)
    frames, pixels, numbers = [], [], []
    for k in reversed(range(geometry.shape[0])):  # frame order is not slice order
        for echo in (1, 2):
            plane = Dataset()
            _plane(plane, geometry, k)
            group = Dataset()
            position, orientation, measures = Dataset(), Dataset(), Dataset()
            position.ImagePositionPatient = plane.ImagePositionPatient
            orientation.ImageOrientationPatient = plane.ImageOrientationPatient
            measures.PixelSpacing = plane.PixelSpacing
            measures.SliceThickness = plane.SliceThickness
            group.PlanePositionSequence = [position]
            group.PlaneOrientationSequence = [orientation]
            group.PixelMeasuresSequence = [measures]
            frames.append(group)
            pixels.append(stored[k].tobytes())
            if echo == 1:
                numbers.append((k, len(frames)))
    dataset.NumberOfFrames = len(frames)
    dataset.PerFrameFunctionalGroupsSequence = frames
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    dataset.PixelData = b"".join(pixels)
    path = folder / "enhanced.dcm"
    dataset.save_as(path, enforce_file_format=True)
    volume = Volume(
        voxels=stored.astype(np.int16),
        geometry=geometry,
        modality="MR",
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        frame_of_reference_uid=str(dataset.FrameOfReferenceUID),
        source_uids=(str(dataset.SOPInstanceUID),) * geometry.shape[0],
        source_frames=tuple(number for _, number in sorted(numbers)),
    )
    return SeriesOnDisk(paths=(path,), volume=volume)


def make_labels(shape: tuple[int, int, int], lesions: int) -> NDArray[np.uint8]:
    """Boxes with one corner missing, so that no flip or rotation maps the mask onto itself."""
    slices, rows, columns = shape
    labels = np.zeros(shape, dtype=np.uint8)
    for n in range(1, lesions + 1):
        z = (n - 1) % max(1, slices - 3)
        y, x = rows // 6 + 3 * n, (n * columns) // (lesions + 2)
        height, width = max(3, rows // 5), max(3, columns // (lesions + 4))
        labels[z : z + 3, y : y + height, x : x + width] = n
        labels[z, y : y + 2, x : x + 2] = 0
    return labels


def make_report(
    volume: Volume, labels: NDArray[np.uint8], *, model: ModelIdentity = MODEL
) -> Report:
    """Report about a mask: the second lesion benign, the third indeterminate."""
    probability = np.where(labels > 0, 0.9, 0.02).astype(np.float32)
    numbers = [int(n) for n in np.unique(labels) if n]
    segmentation = Segmentation(
        labels=labels,
        probability=probability,
        geometry=volume.geometry,
        source_uids=volume.source_uids,
        source_frames=volume.source_frames,
        lesions=tuple(_lesion(n, labels, volume) for n in numbers),
    )
    return Report(
        segmentation=segmentation, findings=tuple(_finding(n) for n in numbers), model=model
    )


def _lesion(number: int, labels: NDArray[np.uint8], volume: Volume) -> Lesion:
    where = np.argwhere(labels == number)
    centroid = volume.geometry.to_lps(where.mean(axis=0))
    extent_mm = np.ptp(volume.geometry.to_lps(where), axis=0)
    per_slice = (labels == number).sum(axis=(1, 2))
    return Lesion(
        number=number,
        tracking_id=f"brain-t1ce lesion {number}",
        tracking_uid=derive_uid("lesion", volume.series_instance_uid, str(number)),
        voxel_count=len(where),
        volume_ml=len(where) * volume.geometry.voxel_volume_mm3 / 1000,
        long_axis_mm=float(np.sort(extent_mm)[-1]),
        short_axis_mm=float(np.sort(extent_mm)[-2]),
        maximum_3d_diameter_mm=float(np.linalg.norm(extent_mm)),
        centroid_lps_mm=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        largest_slice=int(per_slice.argmax()),
        mean_probability=0.9,
    )


def _finding(number: int) -> Finding:
    if number == 3:
        return Finding(
            lesion_number=3,
            malignancy_probability=None,
            assessment=INDETERMINATE,
            reason="Features lie outside the training range (novelty ≥ 0.99).",
        )
    benign = number == 2
    return Finding(
        lesion_number=number,
        malignancy_probability=0.1234 if benign else 0.8763,
        assessment=BENIGN if benign else MALIGNANT,
        predicted_type="meningioma" if benign else "glioma",
        type_probabilities={"glioma": 0.85, "meningioma": 0.1, "pituitary tumor": 0.05},
        features=FEATURES,
    )


def _voxels(shape: tuple[int, int, int]) -> NDArray[np.uint16]:
    k, j, i = np.indices(shape)
    return (900 + 10 * k + 3 * j + i).astype(np.uint16)


def _patient_and_study(headers: dict[str, Any], left_out: tuple[str, ...]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = headers.get("SpecificCharacterSet", "ISO_IR 192")
    values = {
        "PatientName": "Doe^Jane",
        "PatientID": "P-1",
        "PatientBirthDate": "19660401",
        "PatientSex": "F",
        "StudyInstanceUID": derive_uid("test study"),
        "SeriesInstanceUID": headers.get("SeriesInstanceUID")
        or derive_uid("test series", *sorted(headers), *left_out),
        "FrameOfReferenceUID": derive_uid("test frame of reference"),
        "StudyDate": "20240312",
        "StudyTime": "101112",
        "StudyID": "S1",
        "AccessionNumber": "ACC42",
        "ReferringPhysicianName": "Ref^Doc",
        "StudyDescription": "Head",
        "SeriesDescription": "T1 post contrast",
        "SeriesDate": "20240312",
        "SeriesTime": "101200",
        "AcquisitionDate": "20240312",
        "AcquisitionTime": "101500",
        "ContentDate": "20240312",
        "ContentTime": "101700",
        "SeriesNumber": 2,
        "Manufacturer": "Maker",
        "ManufacturerModelName": "Scanner",
        "PositionReferenceIndicator": "",
        "PatientPosition": "HFS",
    }
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _image(dataset: Dataset, modality: str, k: int, stored: NDArray[np.uint16]) -> None:
    sop_class = CTImageStorage if modality == "CT" else MRImageStorage
    uid = derive_uid("test instance", str(dataset.SeriesInstanceUID), modality, str(k))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.Modality = modality
    dataset.InstanceNumber = k + 1
    dataset.BodyPartExamined = "CHEST" if modality == "CT" else "BRAIN"
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.tobytes()
    if modality == "CT":
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.KVP, dataset.AcquisitionNumber = "120", 1
        dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "-1024", "1", "HU"
    else:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "SE", "NONE", ""
        dataset.MRAcquisitionType, dataset.EchoTime, dataset.RepetitionTime = "2D", "10", "500"
        dataset.EchoTrainLength = 1


def _plane(dataset: Dataset, geometry: Geometry, k: int) -> None:
    slices_mm, rows_mm, columns_mm = geometry.spacing_mm
    dataset.ImagePositionPatient = [f"{v:.8g}" for v in geometry.to_lps((k, 0, 0))]
    unit = geometry.direction
    dataset.ImageOrientationPatient = [f"{v:.9f}" for v in (*unit[:, 2], *unit[:, 1])]
    dataset.PixelSpacing = [f"{rows_mm:.8g}", f"{columns_mm:.8g}"]
    dataset.SliceThickness = f"{slices_mm:.8g}"
