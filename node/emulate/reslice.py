"""Other orientations of a sample case: exact, for voxels are permuted and never resampled."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from node.domain.geometry import Geometry
from node.emulate.case import SampleCase

TILT_DEGREES = 15.0


def permute(case: SampleCase, axes: tuple[int, int, int], flip: tuple[bool, ...]) -> SampleCase:
    """Reorder the axes and turn some of them round; every voxel stays where it was in mm.

    Parameters
    ----------
    case : SampleCase
        Case to reorder.
    axes : tuple of int
        Old axis that becomes slice, row and column.
    flip : tuple of bool
        Whether the new axis runs against the old one.
    """
    voxels, mask = case.voxels.transpose(axes), case.mask.transpose(axes)
    affine = case.geometry.affine[:, [*axes, 3]].copy()
    for axis, turned in enumerate(flip):
        if turned:
            affine[:, 3] += affine[:, axis] * (voxels.shape[axis] - 1)
            affine[:, axis] *= -1
            voxels, mask = np.flip(voxels, axis), np.flip(mask, axis)
    geometry = Geometry(affine=affine, shape=voxels.shape)
    return replace(case, voxels=voxels, mask=mask, geometry=geometry)


def order_along_normal(case: SampleCase) -> SampleCase:
    """Turn the slices round if they run against row direction x column direction."""
    slice_step, row_step, column_step = case.geometry.affine[:, :3].T
    against = float(np.cross(column_step, row_step) @ slice_step) < 0
    return permute(case, (0, 1, 2), (against, False, False))


def tilt(case: SampleCase, degrees: float = TILT_DEGREES) -> SampleCase:
    """Shear the stack as a tilted gantry does: slices step aside along the rows' direction."""
    affine = case.geometry.affine.copy()
    down = affine[:, 1] / np.linalg.norm(affine[:, 1])
    affine[:, 0] += down * np.tan(np.deg2rad(degrees)) * np.linalg.norm(affine[:, 0])
    return replace(case, geometry=Geometry(affine=affine, shape=case.geometry.shape))


def crop(case: SampleCase, rows: int, columns: int) -> SampleCase:
    """Keep the first ``rows`` rows and ``columns`` columns."""
    voxels, mask = case.voxels[:, :rows, :columns], case.mask[:, :rows, :columns]
    geometry = Geometry(affine=case.geometry.affine, shape=voxels.shape)
    return replace(case, voxels=voxels, mask=mask, geometry=geometry)


def _rotate(case: SampleCase) -> SampleCase:
    """Rotate the patient by 20, 15 and -8 degrees about x, z and y."""
    turns = [("x", 20.0), ("z", 15.0), ("y", -8.0)]
    rotation = np.eye(3)
    for axis, degrees in turns:
        rotation = rotation @ _rotation(axis, np.deg2rad(degrees))
    geometry = Geometry(affine=rotation @ case.geometry.affine, shape=case.geometry.shape)
    return replace(case, geometry=geometry)


def _rotation(axis: str, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[first, first] = matrix[second, second] = c
    matrix[first, second], matrix[second, first] = -s, s
    return matrix


def _native(case: SampleCase) -> SampleCase:
    return case


def _axial(case: SampleCase) -> SampleCase:
    return permute(case, (0, 1, 2), (False, True, False))


def _reversed(case: SampleCase) -> SampleCase:
    return permute(case, (0, 1, 2), (True, True, False))


def _sagittal(case: SampleCase) -> SampleCase:
    return permute(case, (2, 0, 1), (False, True, True))


def _coronal(case: SampleCase) -> SampleCase:
    return permute(case, (1, 0, 2), (True, True, False))


def _oblique(case: SampleCase) -> SampleCase:
    return _rotate(_axial(case))


# The stored cases have rows that run to anterior, slices to superior, columns to the left.
ORIENTATIONS: dict[str, Callable[[SampleCase], SampleCase]] = {
    "native": _native,  # as stored: face down on a screen, normal to inferior
    "axial": _axial,  # as a scanner stores it: IOP 1\0\0\0\1\0
    "reversed": _reversed,  # axial, numbered from the head down, against the normal
    "sagittal": _sagittal,
    "coronal": _coronal,
    "oblique": _oblique,  # axial, turned about all three axes
}


def reorient(case: SampleCase, orientation: str) -> SampleCase:
    """Return the case in one of ``ORIENTATIONS``; slices in the order of their InstanceNumber."""
    return ORIENTATIONS[orientation](case)
