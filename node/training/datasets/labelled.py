"""What every data set is read into: a case with its mask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry
from node.domain.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledCase:
    """One slice or volume with its mask.

    Parameters
    ----------
    patient : str
        Group that must never be split.
    identifier : str
    volumes : tuple of Volume
        One for each role of the bundle, on the same grid; hung as a radiologist would.
    mask : ndarray of bool, shape (z, y, x)
    tumour_type : str
        Empty where the set does not tell.
    malignant : bool or None
        None where the set does not tell, or leaves it open.
    point_lps_mm : tuple of float, optional
        Where a reader would point at the lesion (LPS, mm).
    notes : mapping of str to str
        Further columns of the set's index that figures are grouped by.
    """

    patient: str
    identifier: str
    volumes: tuple[Volume, ...]
    mask: NDArray[np.bool_]
    tumour_type: str = ""
    malignant: bool | None = None
    point_lps_mm: tuple[float, float, float] | None = None
    notes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for volume in self.volumes:
            if volume.voxels.shape != self.mask.shape:
                raise ValueError(f"image {volume.voxels.shape} and mask {self.mask.shape} differ")

    @property
    def volume(self) -> Volume:
        """The volume of the first role."""
        return self.volumes[0]


def make_volume(
    voxels: NDArray[Any],
    identifier: str,
    *,
    spacing_mm: tuple[float, float, float],
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    modality: str = "MR",
) -> Volume:
    """Make an axial volume of an array (z, y, x) with the spacing of its axes."""
    step, row, column = spacing_mm
    return Volume(
        voxels=voxels,
        geometry=Geometry.from_axes(
            origin_mm=origin_mm,
            slice_step_mm=(0, 0, step),
            row_step_mm=(0, row, 0),
            column_step_mm=(column, 0, 0),
            shape=voxels.shape,
        ),
        modality=modality,
        study_instance_uid="",
        series_instance_uid="",
        frame_of_reference_uid="",
        source_uids=tuple(f"{identifier}/{k}" for k in range(len(voxels))),
        source_frames=(1,) * len(voxels),
    )


def expect_files(directory: Path, names: tuple[str, ...]) -> None:
    """Check that a data set's folder is complete.

    Raises
    ------
    InputRejected
        With every file that is missing.
    """
    missing = [
        Problem(
            code="dataset-file-missing",
            found=f"no {name}",
            expected=f"{', '.join(names)} in {directory.name}",
            remedy="name the folder of this data set",
        )
        for name in names
        if not (directory / name).is_file()
    ]
    if missing:
        raise InputRejected(missing)
