"""Classic MR Image Storage instances of a sample case, with realistic but synthetic headers.

References
----------
PS3.3 A.4 (MR Image IOD), C.7.6.2 (image plane), C.8.3.1 (MR image), C.7.6.4 (contrast/bolus).
"""

import uuid
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import DSfloat

from node.domain.geometry import Geometry

_NAMESPACE = uuid.UUID("6f6e636f-6e6f-4465-8000-73616d706c65")
_DATE, _TIME = "20240105", "093000"


def sample_uid(*parts: str) -> UID:
    """Derive a UID under 2.25 (PS3.5 B.2) from text: the same parts give the same UID."""
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, '/'.join(parts)).int}")


def decimals(values: Any) -> list[DSfloat]:
    """Return decimal strings of at most 16 characters, cleared of floating-point dust."""
    clean = [float(f"{round(float(value), 12):.12g}") + 0.0 for value in np.ravel(values)]
    return [DSfloat(value, auto_format=True) for value in clean]


def series_attributes(case_name: str, identity: str, geometry: Geometry) -> Dataset:
    """Everything that the instances of one series share.

    Parameters
    ----------
    case_name : str
        Name of the sample case, for the patient's and the study's description.
    identity : str
        Text that the UIDs are derived from.
    geometry : Geometry
        Grid of the series.
    """
    title = case_name.upper()
    slice_mm, row_mm, column_mm = geometry.spacing_mm
    shared: Mapping[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "SOPClassUID": MRImageStorage,
        "StudyDate": _DATE,
        "SeriesDate": _DATE,
        "AcquisitionDate": _DATE,
        "ContentDate": _DATE,
        "StudyTime": _TIME,
        "SeriesTime": _TIME,
        "AcquisitionTime": _TIME,
        "ContentTime": _TIME,
        "AccessionNumber": f"SAMPLE{title[-1]}",
        "Modality": "MR",
        "Manufacturer": "Synthetic",
        "ManufacturerModelName": "Phantom from a PyRadiomics sample case",
        "InstitutionName": "Sample data",
        "ReferringPhysicianName": "",
        "StudyDescription": f"PHANTOM {title}",
        "SeriesDescription": "T1 POST GAD",
        "PatientName": f"SAMPLE^{title}^PHANTOM",
        "PatientID": f"PHANTOM-{title}",
        "PatientBirthDate": "",
        "PatientSex": "",
        "PatientIdentityRemoved": "YES",
        "DeidentificationMethod": "Public sample image; all header values are synthetic",
        "BodyPartExamined": "BRAIN",
        "ContrastBolusAgent": "GADOLINIUM",
        "ScanningSequence": "SE",
        "SequenceVariant": "NONE",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "RepetitionTime": "500",
        "EchoTime": "10",
        "EchoTrainLength": "1",
        "MagneticFieldStrength": "1.5",
        "SliceThickness": decimals(slice_mm)[0],
        "SpacingBetweenSlices": decimals(slice_mm)[0],
        "SoftwareVersions": "1",
        "DeviceSerialNumber": "0",
        "ProtocolName": "T1 POST GAD",
        "PatientPosition": "HFS",
        "StudyInstanceUID": sample_uid("study", identity),
        "SeriesInstanceUID": sample_uid("series", identity),
        "StudyID": "1",
        "SeriesNumber": "5",
        "AcquisitionNumber": "1",
        "FrameOfReferenceUID": sample_uid("frame of reference", identity),
        "PositionReferenceIndicator": "",
        "ImageOrientationPatient": decimals(geometry.direction[:, [2, 1]].T),
        "PixelSpacing": decimals([row_mm, column_mm]),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": geometry.shape[1],
        "Columns": geometry.shape[2],
    }
    dataset = Dataset()
    for keyword, value in shared.items():
        setattr(dataset, keyword, value)
    return dataset


def slice_dataset(
    shared: Dataset,
    pixels: NDArray[Any],
    *,
    position_mm: NDArray[np.float64],
    sop_instance_uid: UID,
    instance_number: int,
    window: tuple[float, float],
) -> Dataset:
    """Make one instance out of the shared attributes and one slice of unsigned pixels (y, x)."""
    dataset = deepcopy(shared)
    dataset.SOPInstanceUID = sop_instance_uid
    dataset.InstanceNumber = instance_number
    dataset.ImagePositionPatient = decimals(position_mm)
    dataset.WindowCenter, dataset.WindowWidth = decimals(window)
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12 if pixels.max(initial=0) < 4096 else 16
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = sop_instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    return dataset
