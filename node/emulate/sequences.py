"""One study of several MR sequences, as a scanner sends it: a series each, one frame of reference.

Voxels, grids and roles come from outside; headers are synthetic, with the parameters that such
sequences have at 1.5 T.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from node.domain.volume import Volume
from node.emulate.mr_headers import sample_uid, series_attributes, slice_dataset

PARAMETERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "t1": {
            "SeriesNumber": "3",
            "SeriesDescription": "AX T1",
            "ProtocolName": "AX T1",
            "ScanningSequence": "SE",
            "RepetitionTime": "500",
            "EchoTime": "10",
            "AcquisitionTime": "093000",
        },
        "flair": {
            "SeriesNumber": "4",
            "SeriesDescription": "AX FLAIR",
            "ProtocolName": "AX FLAIR",
            "ScanningSequence": ["SE", "IR"],
            "SequenceVariant": "SK",
            "RepetitionTime": "9000",
            "EchoTime": "120",
            "InversionTime": "2500",
            "EchoTrainLength": "16",
            "AcquisitionTime": "093600",
        },
        "t1ce": {
            "SeriesNumber": "7",
            "SeriesDescription": "AX T1 POST GD",
            "ProtocolName": "AX T1 POST GD",
            "ScanningSequence": "SE",
            "RepetitionTime": "500",
            "EchoTime": "10",
            "ContrastBolusAgent": "GADOLINIUM",
            "AcquisitionTime": "095200",
        },
    }
)
"""Role -> what its headers say."""


@dataclass(frozen=True, kw_only=True)
class WrittenStudy:
    """A study of several series on disk.

    Parameters
    ----------
    study_instance_uid : str
    series_instance_uids : mapping of str to str
        Role -> series.
    source_uids : mapping of str to tuple of str
        Role -> SOP Instance UIDs, in the order of its slices.
    paths : tuple of Path
        Every file.
    """

    study_instance_uid: str
    series_instance_uids: Mapping[str, str]
    source_uids: Mapping[str, tuple[str, ...]]
    paths: tuple[Path, ...]


def write_sequences(
    volumes: Mapping[str, Volume],
    out_dir: Path,
    *,
    name: str,
    headers: Mapping[str, Mapping[str, Any]] | None = None,
    fresh: bool = False,
) -> WrittenStudy:
    """Write volumes as the series of one MR study, a folder each.

    Parameters
    ----------
    volumes : mapping of str to Volume
        Role -> voxels and their place. Values are rounded, and stored from 0 up.
    out_dir : Path
        Folder for the study; made if it is missing.
    name : str
        Stands in the synthetic patient's name, and in every UID.
    headers : mapping of str to mapping, optional
        Role -> DICOM keyword -> value instead of the one in ``PARAMETERS``; None leaves it out.
    fresh : bool
        Make new UIDs. By default they depend on the name only.
    """
    identity = f"{name}/{uuid.uuid4().hex}" if fresh else name
    paths: list[Path] = []
    series_uids: dict[str, str] = {}
    source_uids: dict[str, tuple[str, ...]] = {}
    for role, volume in volumes.items():
        shared = _shared(role, volume, name, identity, (headers or {}).get(role, {}))
        slices = _slices(shared, volume, f"{identity}/{role}")
        folder = out_dir / role
        folder.mkdir(parents=True, exist_ok=True)
        for number, dataset in enumerate(slices, start=1):
            path = folder / f"MR.{number:04d}.dcm"
            dataset.save_as(path, enforce_file_format=True)
            paths.append(path)
        series_uids[role] = str(shared.SeriesInstanceUID)
        source_uids[role] = tuple(str(dataset.SOPInstanceUID) for dataset in slices)
    return WrittenStudy(
        study_instance_uid=str(sample_uid("study", identity)),
        series_instance_uids=series_uids,
        source_uids=source_uids,
        paths=tuple(paths),
    )


def _shared(
    role: str, volume: Volume, name: str, identity: str, changes: Mapping[str, Any]
) -> Dataset:
    shared = series_attributes(name, identity, volume.geometry)
    shared.StudyDescription = "MR BRAIN W AND W/O CONTRAST"
    shared.ManufacturerModelName = "Study from arrays"
    shared.SeriesInstanceUID = sample_uid("series", identity, role)
    for keyword in ("ContrastBolusAgent", "SeriesDescription", "ProtocolName"):
        delattr(shared, keyword)
    for keyword, value in {**PARAMETERS.get(role, {}), **changes}.items():
        if value is not None:
            setattr(shared, keyword, value)
        elif keyword in shared:
            delattr(shared, keyword)
    return shared


def _slices(shared: Dataset, volume: Volume, identity: str) -> list[Dataset]:
    stored = np.rint(volume.voxels.astype(np.float32) - min(0.0, float(volume.voxels.min())))
    bright = max(1.0, float(np.percentile(stored, 99.5)))
    return [
        slice_dataset(
            shared,
            np.clip(plane, 0, 65535).astype(np.uint16),
            position_mm=volume.geometry.to_lps((k, 0, 0)),
            sop_instance_uid=sample_uid("instance", identity, str(k)),
            instance_number=k + 1,
            window=(bright / 2, bright),
        )
        for k, plane in enumerate(stored)
    ]
