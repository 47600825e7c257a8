"""The sample cases that ship with the project, as their NRRD files have them."""

from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from node.domain.geometry import Geometry, read_only

CASES = ("brain1", "brain2")


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleCase:
    """A sample image with its reference mask.

    Parameters
    ----------
    name : str
        Case name, one of ``CASES``.
    voxels : ndarray of int16, shape (z, y, x), read-only
        Intensities in scanner units.
    mask : ndarray of bool, shape (z, y, x), read-only
        The reference lesion.
    geometry : Geometry
        Place of both in LPS mm.
    """

    name: str
    voxels: NDArray[Any]
    mask: NDArray[np.bool_]
    geometry: Geometry

    def __post_init__(self) -> None:
        object.__setattr__(self, "voxels", read_only(self.voxels))
        object.__setattr__(self, "mask", read_only(self.mask))


def load_case(name: str) -> SampleCase:
    """Load a sample case by its name.

    Raises
    ------
    KeyError
        If there is no such case.
    """
    if name not in CASES:
        raise KeyError(f"no sample case {name!r}; there are {', '.join(CASES)}")
    folder = resources.files("node.emulate") / "cases" / name
    with (
        resources.as_file(folder / "image.nrrd") as image_path,
        resources.as_file(folder / "label.nrrd") as label_path,
    ):
        image: Any = SimpleITK.ReadImage(str(image_path))
        label: Any = SimpleITK.ReadImage(str(label_path))
    x_mm, y_mm, z_mm = image.GetSpacing()
    direction = np.array(image.GetDirection()).reshape(3, 3)
    voxels = SimpleITK.GetArrayFromImage(image)
    geometry = Geometry.from_axes(
        origin_mm=image.GetOrigin(),
        slice_step_mm=direction[:, 2] * z_mm,
        row_step_mm=direction[:, 1] * y_mm,
        column_step_mm=direction[:, 0] * x_mm,
        shape=voxels.shape,
    )
    mask = SimpleITK.GetArrayFromImage(label) > 0
    return SampleCase(name=name, voxels=voxels, mask=mask, geometry=geometry)
