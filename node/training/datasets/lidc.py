"""LIDC-IDRI lung nodules: CT cut-outs with true spacing, outlines and the radiologists' ratings.

References
----------
Armato et al., Med Phys 38(2), 2011, doi:10.1118/1.3528204.
"""

import csv
import math
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import structlog

from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry
from node.domain.volume import Volume
from node.training.datasets.labelled import LabelledCase, expect_files
from node.volume.resample import from_simpleitk

log = structlog.get_logger()

#: Median malignancy rating (1 to 5) that leaves the question open.
UNDECIDED = 3.0
#: Columns of the index that go to the notes of a case.
NOTES = {
    "median": "median_rating",
    "ratings": "ratings",
    "diameter_mm": "diameter_mm",
    "Spiculation_value": "spiculation",
    "Texture_value": "texture",
    "Lobulation_value": "lobulation",
    "Margin_value": "margin",
    "Sphericity_value": "sphericity",
    "Subtlety_value": "subtlety",
    "Calcification_value": "calcification",
}
_TOLERANCE_MM = 0.01


def read_lidc(directory: Path) -> list[LabelledCase]:
    """Read one case for each nodule.

    ``malignant`` is what most radiologists thought, not pathology: True for a median rating above
    3, False below, None for 3 or no rating. A faulty case is reported and left out.

    Parameters
    ----------
    directory : Path
        Holds ``vois.zip`` with ``image/NAME.nii.gz`` and ``mask/NAME.nii.gz``, and ``index.csv``.

    Returns
    -------
    list of LabelledCase
        In the order of the index. CT in HU, int16; NIfTI's RAS coordinates are turned to LPS by
        SimpleITK; ``point_lps_mm`` is the centroid of the mask.

    Raises
    ------
    InputRejected
        If a file is missing, with the files that were expected.
    """
    expect_files(directory, ("vois.zip", "index.csv"))
    with (directory / "index.csv").open(newline="") as table:
        index = list(csv.DictReader(table))
    cases = []
    with (
        zipfile.ZipFile(directory / "vois.zip") as archive,
        tempfile.TemporaryDirectory(prefix="lidc-") as scratch,
    ):
        present = set(archive.namelist())
        for row in index:
            try:
                cases.append(_read_case(archive, present, row, Path(scratch)))
            except InputRejected as rejected:
                for problem in rejected.problems:
                    log.warning("case.left-out", case=row.get("voi", ""), problem=str(problem))
    log.info("lidc.read", cases=len(cases), left_out=len(index) - len(cases))
    return cases


def _read_case(
    archive: zipfile.ZipFile, present: Iterable[str], row: Mapping[str, str], scratch: Path
) -> LabelledCase:
    name = row.get("voi", "")
    members = (f"image/{name}.nii.gz", f"mask/{name}.nii.gz")
    missing = [member for member in members if member not in present]
    if missing:
        raise InputRejected([_fault(name, "cut-out-missing", f"no {', '.join(missing)}", "both")])
    voxels, geometry = _read_nifti(archive, members[0], scratch)
    labels, mask_geometry = _read_nifti(archive, members[1], scratch)
    mask = labels > 0
    if not geometry.is_close(mask_geometry, _TOLERANCE_MM):
        raise InputRejected(
            [_fault(name, "grids-differ", f"image {voxels.shape}, mask {mask.shape}", "one grid")]
        )
    if not mask.any():
        raise InputRejected([_fault(name, "empty-mask", "no voxel in the mask", "a nodule")])
    x, y, z = geometry.to_lps(np.argwhere(mask).mean(axis=0))
    rating = float(row["median"]) if row.get("median") else math.nan
    return LabelledCase(
        patient=row["patient_id"],
        identifier=name,
        volumes=(_as_volume(voxels, geometry, name),),
        mask=mask,
        malignant=None if math.isnan(rating) or rating == UNDECIDED else rating > UNDECIDED,
        point_lps_mm=(float(x), float(y), float(z)),
        notes={note: row.get(column, "") for column, note in NOTES.items()},
    )


def _read_nifti(archive: zipfile.ZipFile, member: str, scratch: Path) -> tuple[Any, Geometry]:
    path = scratch / Path(member).name
    path.write_bytes(archive.read(member))
    try:
        return from_simpleitk(sitk.ReadImage(str(path)))
    except RuntimeError as fault:
        raise InputRejected(
            [_fault(member, "unreadable-nifti", type(fault).__name__, "a NIfTI file")]
        ) from fault
    finally:
        path.unlink()


def _as_volume(voxels: Any, geometry: Geometry, name: str) -> Volume:
    return Volume(
        voxels=voxels.astype(np.int16),
        geometry=geometry,
        modality="CT",
        study_instance_uid="",
        series_instance_uid=name,
        frame_of_reference_uid="",
        source_uids=tuple(f"{name}/{k}" for k in range(len(voxels))),
        source_frames=(1,) * len(voxels),
    )


def _fault(name: str, code: str, found: str, expected: str) -> Problem:
    return Problem(
        code=code, tag=name, found=found, expected=expected, remedy="repair or drop the case"
    )
