"""Folders of DICOM series with SEG or RTSTRUCT objects -> labelled cases.

Files may lie at any depth, as archives deliver them; nothing is concluded from their names. An
object belongs to the series that it refers to by UID, or else to the only fitting series in its
frame of reference. The grid of a case is that of the series that was outlined.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.assemble.folder import scan_folder
from node.assemble.validate import check_series
from node.domain.errors import InputRejected
from node.domain.volume import Volume
from node.training.datasets.case_table import CaseTable
from node.training.datasets.description import FILE_NAME, DicomDescription
from node.training.datasets.dicom_binding import (
    LeftOut,
    OutlinedSeries,
    bind_objects,
    choose_roles,
    sort_by_patient,
)
from node.training.datasets.label_objects import rasterise_labels
from node.training.datasets.labelled import LabelledCase
from node.training.datasets.read_set import ReadSet, check_mask, fault
from node.volume.read import read_volume
from node.volume.resample import resample_to

SAME_GRID_VOXELS = 0.05
"""Corners of two grids may differ by this; headers are rounded."""


def read_dicom_pairs(directory: Path, description: DicomDescription) -> ReadSet:
    """Read a case for every series that an object outlines.

    Parameters
    ----------
    directory : Path
    description : DicomDescription

    Raises
    ------
    SetupFault
        If the table is missing or lacks a column.
    """
    table = CaseTable(directory, description)
    contents = scan_folder(directory)
    left_out: LeftOut = {}
    known = (FILE_NAME, description.table.file if description.table else FILE_NAME)
    strangers = [p for p in contents.problems if not p.found.startswith(known)]
    if strangers:
        left_out["files"] = tuple(strangers)
    cases = []
    for patient in sort_by_patient(contents.studies, description, left_out):
        for outlined in bind_objects(patient, description, left_out):
            try:
                cases.append(_read_case(outlined, description, table))
            except InputRejected as rejected:
                left_out[outlined.name] = rejected.problems
    return ReadSet(cases=tuple(cases), left_out=left_out)


def _read_case(
    outlined: OutlinedSeries, description: DicomDescription, table: CaseTable
) -> LabelledCase:
    name, patient, objects = outlined.name, outlined.patient.name, outlined.objects
    if len(objects) > 1 and not description.unite:
        raise InputRejected(
            [
                fault(
                    "several-candidates",
                    name,
                    found=f"{len(objects)} objects with fitting labels on one series",
                    expected="one",
                    remedy="make `labels` narrower, or set `unite: true`",
                )
            ]
        )
    facts = table.find(case=name, patient=patient)
    chosen = choose_roles(outlined, description.roles)
    reference = read_volume(check_series(outlined.series, minimum_slices=2))
    mask = np.zeros(reference.geometry.shape, bool)
    for item in objects:
        mask |= rasterise_labels(item, item.select(description.labels), reference.geometry)
    point = check_mask(mask, reference.geometry, name=name, allow_empty=description.allow_empty)
    volumes = []
    for series in chosen.values():
        if series is outlined.series:
            volumes.append(reference)
        else:
            other = read_volume(check_series(series, minimum_slices=2))
            volumes.append(_bring_to(other, reference, name, resample=description.resample))
    return LabelledCase(
        patient=patient,
        identifier=name,
        volumes=tuple(volumes),
        mask=mask,
        tumour_type=facts.tumour_type,
        malignant=facts.malignant,
        point_lps_mm=point,
        notes=facts.notes,
    )


def _bring_to(volume: Volume, reference: Volume, name: str, *, resample: bool) -> Volume:
    """Bring a volume to the grid of the outlined one."""
    tolerance_mm = SAME_GRID_VOXELS * min(reference.geometry.spacing_mm)
    if volume.frame_of_reference_uid != reference.frame_of_reference_uid:
        raise InputRejected(
            [
                fault(
                    "different-frame",
                    name,
                    found="series in different frames of reference",
                    expected="series of one frame of reference",
                    remedy="register them first",
                )
            ]
        )
    voxels: NDArray[Any] = volume.voxels
    if not volume.geometry.is_close(reference.geometry, tolerance_mm):
        if not resample:
            raise InputRejected(
                [
                    fault(
                        "different-grid",
                        name,
                        found=f"{volume.geometry.shape} and {reference.geometry.shape} voxels",
                        expected="one grid",
                        remedy="set `resample: true`",
                    )
                ]
            )
        voxels = resample_to(
            voxels,
            volume.geometry,
            reference.geometry,
            interpolation="linear",
            fill=float(voxels.min()),
        )
    return Volume(
        voxels=voxels,
        geometry=reference.geometry,
        modality=volume.modality,
        study_instance_uid=volume.study_instance_uid,
        series_instance_uid=volume.series_instance_uid,
        frame_of_reference_uid=volume.frame_of_reference_uid,
        source_uids=reference.source_uids,
        source_frames=reference.source_frames,
    )
