"""Folders of NIfTI or NRRD pairs, by patterns of their names -> labelled cases."""

import re
from pathlib import Path
from typing import Any

import structlog
from numpy.typing import NDArray

from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry
from node.domain.volume import Volume
from node.training.datasets.case_table import CaseTable
from node.training.datasets.description import FilesDescription
from node.training.datasets.image_files import read_image_file, read_mask_file
from node.training.datasets.labelled import LabelledCase
from node.training.datasets.name_patterns import FileGroup, group_files
from node.training.datasets.read_set import ReadSet, check_mask, fault
from node.volume.resample import resample_to

log = structlog.get_logger()

SAME_GRID_VOXELS = 0.05
"""Corners of two grids may differ by this; headers are rounded."""
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
_LABEL = "label"


def read_file_pairs(directory: Path, description: FilesDescription) -> ReadSet:
    """Read every case that the patterns find.

    The grid of a case is that of its mask.

    Parameters
    ----------
    directory : Path
    description : FilesDescription

    Raises
    ------
    SetupFault
        If the table is missing or lacks a column.
    """
    table = CaseTable(directory, description)
    paths = [p.relative_to(directory).as_posix() for p in directory.rglob("*") if p.is_file()]
    patterns = {f"image {role}": pattern for role, pattern in description.images.items()}
    groups = group_files(paths, {**patterns, _LABEL: description.label})
    matched = {path for group in groups for found in group.files.values() for path in found}
    strangers = sorted(p for p in set(paths) - matched if p.lower().endswith(SUFFIXES))
    if strangers:
        log.warning("files.without-case", count=len(strangers), first=strangers[:5])
    cases, left_out = [], {}
    for group in groups:
        name = f"{group.patient}/{group.case}" if group.patient else group.case
        try:
            cases.append(_read_case(directory, group, name, description, table))
        except InputRejected as rejected:
            left_out[name] = rejected.problems
    return ReadSet(cases=tuple(cases), left_out=left_out)


def _read_case(
    directory: Path,
    group: FileGroup,
    name: str,
    description: FilesDescription,
    table: CaseTable,
) -> LabelledCase:
    slots = [*(f"image {role}" for role in description.images), _LABEL]
    problems = [p for slot in slots for p in _faults_of_slot(name, slot, group.files.get(slot, []))]
    patient = _patient_of(group, description)
    if not patient:
        problems.append(
            fault(
                "no-patient",
                name,
                found=f"{description.patient} does not fit",
                expected="the patient, so that no patient stands on two sides of a split",
                remedy="correct `patient` in dataset.yaml",
            )
        )
    if problems:
        raise InputRejected(problems)
    facts = table.find(case=group.case, patient=patient)
    mask, geometry = read_mask_file(directory / group.files[_LABEL][0], description.label_values)
    volumes, problems = [], []
    for role in description.images:
        path = directory / group.files[f"image {role}"][0]
        try:
            voxels = _on_grid(path, geometry, resample=description.resample)
        except InputRejected as rejected:
            problems.extend(rejected.problems)
            continue
        volumes.append(_as_volume(voxels, geometry, f"{name}/{role}", description.modality))
    if problems:
        raise InputRejected(problems)
    point = check_mask(mask, geometry, name=name, allow_empty=description.allow_empty)
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


def _faults_of_slot(name: str, slot: str, paths: list[str]) -> list[Problem]:
    if len(paths) == 1:
        return []
    if paths:
        return [
            fault(
                "several-candidates",
                name,
                found=f"{len(paths)} files for {slot}: {', '.join(paths[:4])}",
                expected="one",
                remedy="make the pattern in dataset.yaml narrower",
            )
        ]
    code = "missing-mask" if slot == _LABEL else "missing-image"
    return [fault(code, name, found=f"no file for {slot}", expected="one")]


def _patient_of(group: FileGroup, description: FilesDescription) -> str:
    if group.patient:
        return group.patient
    if not description.patient:
        return group.case
    found = re.search(description.patient, group.case)
    return found.group(1) if found else ""


def _on_grid(path: Path, geometry: Geometry, *, resample: bool) -> NDArray[Any]:
    voxels, own = read_image_file(path)
    if own.is_close(geometry, SAME_GRID_VOXELS * min(geometry.spacing_mm)):
        return voxels
    if resample:
        fill = float(voxels.min())
        return resample_to(voxels, own, geometry, interpolation="linear", fill=fill)
    raise InputRejected(
        [
            fault(
                "different-grid",
                path.name,
                found=f"image {_tell(own)}, mask {_tell(geometry)}",
                expected="one grid",
                remedy="resample the image to the mask, or set `resample: true`",
            )
        ]
    )


def _tell(geometry: Geometry) -> str:
    spacing = " x ".join(f"{step:.3g}" for step in geometry.spacing_mm)
    origin = ", ".join(f"{part:.1f}" for part in geometry.origin_mm)
    return f"{geometry.shape} voxels of {spacing} mm at ({origin})"


def _as_volume(voxels: NDArray[Any], geometry: Geometry, name: str, modality: str) -> Volume:
    return Volume(
        voxels=voxels,
        geometry=geometry,
        modality=modality,
        study_instance_uid="",
        series_instance_uid=name,
        frame_of_reference_uid="",
        source_uids=tuple(f"{name}/{k}" for k in range(len(voxels))),
        source_frames=(1,) * len(voxels),
    )
