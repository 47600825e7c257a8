"""Lesion by lesion: which labelled lesions were found, by size, and how many marks are false.

Conventions
-----------
* Lesions are connected components (26 neighbours; 8 in a single slice).
* The equivalent diameter is that of the sphere of the lesion's volume; in a single slice (z = 1)
  that of the circle of its area.
* A labelled lesion is found when its Dice with the marks that touch it is at least ``HIT_DICE``.
* A mark is false when less than ``HIT_DICE`` of it lies on labelled lesions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import generate_binary_structure, label

Spacing = tuple[float, float, float]

HIT_DICE = 0.1

#: Upper bounds of the size classes in mm of equivalent diameter; the last class has none.
SIZE_BOUNDS_MM = (3.0, 6.0, 10.0)
SIZE_CLASSES = ("<=3 mm", "3-6 mm", "6-10 mm", ">10 mm")


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionMatch:
    """The lesions of one case.

    Parameters
    ----------
    diameter_mm : ndarray of float64, shape (lesions,)
        Equivalent diameter of each labelled lesion.
    found : ndarray of bool, shape (lesions,)
    false_marks : int
        Predicted lesions that are no labelled ones.
    marks : int
        All predicted lesions.
    """

    diameter_mm: NDArray[np.float64]
    found: NDArray[np.bool_]
    false_marks: int
    marks: int


def match_lesions(
    reference: NDArray[Any],
    predicted: NDArray[Any],
    spacing_mm: Spacing,
    *,
    one_lesion: bool = False,
) -> LesionMatch:
    """Match predicted with labelled lesions.

    Parameters
    ----------
    reference, predicted : ndarray, shape (z, y, x)
        Voxels above 0 belong to a mask.
    spacing_mm : tuple of float
        Of slices, rows and columns.
    one_lesion : bool
        The reference is the outline of one lesion, also where it falls apart.
    """
    neighbours = generate_binary_structure(3, 3)
    outlined = np.asarray(reference) > 0
    if one_lesion:
        truth, lesions = outlined.astype(np.int64), int(outlined.any())
    else:
        truth, lesions = label(outlined, neighbours)
    marked, marks = label(np.asarray(predicted) > 0, neighbours)
    # shared[i, j]: voxels of labelled lesion i that lie in mark j; 0 is the background.
    shared = np.zeros((lesions + 1, marks + 1), np.int64)
    np.add.at(shared, (truth.ravel(), marked.ravel()), 1)
    lesion_voxels = shared[1:].sum(axis=1)
    mark_voxels = shared[:, 1:].sum(axis=0)
    both = shared[1:, 1:]
    touching = (both > 0) @ mark_voxels
    dice = 2 * both.sum(axis=1) / np.maximum(lesion_voxels + touching, 1)
    false = both.sum(axis=0) < HIT_DICE * mark_voxels
    return LesionMatch(
        diameter_mm=_equivalent_diameter_mm(lesion_voxels, spacing_mm, flat=len(truth) == 1),
        found=dice >= HIT_DICE,
        false_marks=int(false.sum()),
        marks=int(marks),
    )


def measure_equivalent_diameter_mm(mask: NDArray[Any], spacing_mm: Spacing) -> float:
    """Diameter in mm of the sphere with the mask's volume, or of the circle with its area (z = 1).

    References
    ----------
    IBSI reference manual, Volume (YEKZ), doi:10.17195/candat.2016.08.1.
    """
    array = np.asarray(mask) > 0
    voxels = np.array([int(array.sum())])
    return float(_equivalent_diameter_mm(voxels, spacing_mm, flat=len(array) == 1)[0])


def name_size_class(diameter_mm: float) -> str:
    """Return the size class of an equivalent diameter; a bound belongs to the smaller class."""
    return SIZE_CLASSES[int(np.searchsorted(SIZE_BOUNDS_MM, diameter_mm, side="left"))]


def _equivalent_diameter_mm(
    voxels: NDArray[np.int64], spacing_mm: Spacing, *, flat: bool
) -> NDArray[np.float64]:
    step_mm, row_mm, column_mm = spacing_mm
    if flat:
        return np.asarray(2 * np.sqrt(voxels * row_mm * column_mm / np.pi))
    return np.asarray(np.cbrt(6 * voxels * step_mm * row_mm * column_mm / np.pi))
