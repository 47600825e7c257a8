"""A CT volume as a series, as a scanner sends it: voxels and grid from outside, headers synthetic.

References
----------
PS3.3 A.3 (CT Image IOD), C.8.2.1 (CT Image), C.11.1 (Modality LUT).
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from pydicom.uid import CTImageStorage

from node.domain.volume import Volume
from node.emulate.mr_headers import sample_uid, series_attributes, slice_dataset

PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CTImageStorage,
        "Modality": "CT",
        "StudyDescription": "CT CHEST",
        "SeriesDescription": "LUNG",
        "ProtocolName": "CHEST",
        "BodyPartExamined": "CHEST",
        "ManufacturerModelName": "Emulated scanner",
        "KVP": "120",
        "ConvolutionKernel": "STANDARD",
        "ContrastBolusAgent": None,
        "RescaleSlope": "1",
        "RescaleType": "HU",
    }
)
"""What the headers of a chest CT say; None leaves an attribute out."""

_OF_MR = (
    "ScanningSequence",
    "SequenceVariant",
    "MRAcquisitionType",
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
    "MagneticFieldStrength",
)
_AIR_HU = -1024
_WINDOW_HU = (-600.0, 1500.0)


def write_ct_series(
    volume: Volume,
    out_dir: Path,
    *,
    name: str,
    headers: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> Volume:
    """Write a volume in HU as a classic CT series.

    Parameters
    ----------
    volume : Volume
        Values are rounded to whole HU.
    out_dir : Path
        Folder for the files ``CT.0001.dcm`` ...; made if it is missing.
    name : str
        Stands in the synthetic patient's name, and in every UID.
    headers : mapping of str to Any, optional
        DICOM keyword -> value instead of the one in ``PARAMETERS``; None leaves it out.
    fresh : bool
        Make new UIDs. By default they depend on the name only.

    Returns
    -------
    Volume
        The same voxels and place, with the UIDs that were written.
    """
    identity = f"{name}/{uuid.uuid4().hex}" if fresh else name
    shared = series_attributes(name, identity, volume.geometry)
    for keyword in _OF_MR:
        delattr(shared, keyword)
    hu = np.rint(volume.voxels).astype(np.int32)
    intercept = min(_AIR_HU, int(hu.min()))
    told = {**PARAMETERS, "RescaleIntercept": str(intercept), **(headers or {})}
    for keyword, value in told.items():
        if value is not None:
            setattr(shared, keyword, value)
        elif keyword in shared:
            delattr(shared, keyword)
    out_dir.mkdir(parents=True, exist_ok=True)
    source_uids = []
    for k, plane in enumerate(hu):
        dataset = slice_dataset(
            shared,
            plane - intercept,
            position_mm=volume.geometry.to_lps((k, 0, 0)),
            sop_instance_uid=sample_uid("instance", identity, str(k + 1)),
            instance_number=k + 1,
            window=_WINDOW_HU,
        )
        dataset.save_as(out_dir / f"CT.{k + 1:04d}.dcm", enforce_file_format=True)
        source_uids.append(str(dataset.SOPInstanceUID))
    return Volume(
        voxels=hu.astype(np.int16),
        geometry=volume.geometry,
        modality="CT",
        study_instance_uid=str(shared.StudyInstanceUID),
        series_instance_uid=str(shared.SeriesInstanceUID),
        frame_of_reference_uid=str(shared.FrameOfReferenceUID),
        source_uids=tuple(source_uids),
        source_frames=(1,) * len(source_uids),
    )
