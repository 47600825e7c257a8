"""Figures of one predicted mask against its reference: overlap, surfaces, volume.

Conventions
-----------
* Arrays are ``[z, y, x]``, distances in millimetres. A single slice (z = 1) is measured in its
  plane: contours take the place of surfaces.
* Every figure is defined for empty masks, so that a missed tumour or a mark on healthy tissue
  counts in every mean. Both empty: Dice and surface Dice 1, HD95 0 mm, volume error 0. One empty:
  Dice and surface Dice 0, HD95 the diagonal of the image (as the BraTS challenges do), volume
  error -100 % for a missed tumour and +100 % for a mark without a tumour.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import surface_distance
from numpy.typing import NDArray

from node.evaluation.overlap import measure_dice

Spacing = tuple[float, float, float]

#: Two surfaces that are this close count as one; about two pixels of a diagnostic head MR.
TOLERANCE_MM = 2.0


@dataclass(frozen=True, kw_only=True)
class MaskFigures:
    """Figures of a pair of masks; see the conventions of this module.

    Parameters
    ----------
    dice : float
    surface_dice : float
        Share of both surfaces that lies within the tolerance of the other.
    hd95_mm : float
        95th percentile of the distances between the surfaces, the larger of both directions.
    reference_ml, predicted_ml : float
        Of a single slice: area times slice step.
    volume_error_ml, volume_error_percent : float
        Predicted less reference; percent of the reference.
    """

    dice: float
    surface_dice: float
    hd95_mm: float
    reference_ml: float
    predicted_ml: float
    volume_error_ml: float
    volume_error_percent: float


def measure_masks(
    reference: NDArray[Any],
    predicted: NDArray[Any],
    spacing_mm: Spacing,
    *,
    tolerance_mm: float = TOLERANCE_MM,
) -> MaskFigures:
    """Measure a predicted mask against its reference.

    Parameters
    ----------
    reference, predicted : ndarray, shape (z, y, x)
        Voxels above 0 belong to the mask.
    spacing_mm : tuple of float
        Of slices, rows and columns.
    tolerance_mm : float
        Of the surface Dice.

    Raises
    ------
    ValueError
        If the shapes differ or are not three-dimensional.
    """
    truth, found = _as_masks(reference, predicted)
    surface_dice, hd95_mm = _measure_surfaces(truth, found, spacing_mm, tolerance_mm)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    reference_ml, predicted_ml = int(truth.sum()) * voxel_ml, int(found.sum()) * voxel_ml
    error_ml = predicted_ml - reference_ml
    if reference_ml > 0:
        percent = 100 * error_ml / reference_ml
    else:
        percent = 100.0 if predicted_ml > 0 else 0.0
    return MaskFigures(
        dice=measure_dice(truth, found),
        surface_dice=surface_dice,
        hd95_mm=hd95_mm,
        reference_ml=reference_ml,
        predicted_ml=predicted_ml,
        volume_error_ml=error_ml,
        volume_error_percent=percent,
    )


def measure_hd95_mm(reference: NDArray[Any], predicted: NDArray[Any], spacing_mm: Spacing) -> float:
    """95th percentile of the distance between two surfaces (robust Hausdorff distance), in mm.

    References
    ----------
    Huttenlocher, Klanderman, Rucklidge, IEEE TPAMI 15(9), 1993, doi:10.1109/34.232073.
    Surface elements are weighted by their area: Nikolov et al., J Med Internet Res 23(7), 2021,
    doi:10.2196/26151.
    """
    return _measure_surfaces(*_as_masks(reference, predicted), spacing_mm, TOLERANCE_MM)[1]


def measure_surface_dice(
    reference: NDArray[Any],
    predicted: NDArray[Any],
    spacing_mm: Spacing,
    *,
    tolerance_mm: float = TOLERANCE_MM,
) -> float:
    """Share of both surfaces that lies within a tolerance of the other.

    References
    ----------
    Nikolov et al., J Med Internet Res 23(7), 2021, doi:10.2196/26151.
    """
    return _measure_surfaces(*_as_masks(reference, predicted), spacing_mm, tolerance_mm)[0]


def _as_masks(
    reference: NDArray[Any], predicted: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    truth, found = np.asarray(reference) > 0, np.asarray(predicted) > 0
    if truth.shape != found.shape or truth.ndim != 3:
        raise ValueError(f"masks have shapes {truth.shape} and {found.shape}, expected one (z,y,x)")
    return truth, found


def _measure_surfaces(
    truth: NDArray[np.bool_],
    found: NDArray[np.bool_],
    spacing_mm: Spacing,
    tolerance_mm: float,
) -> tuple[float, float]:
    """Return surface Dice and HD95 in mm."""
    if not truth.any() and not found.any():
        return 1.0, 0.0
    spacing: tuple[float, ...] = spacing_mm
    if len(truth) == 1:
        truth, found, spacing = truth[0], found[0], spacing_mm[1:]
    if not truth.any() or not found.any():
        return 0.0, float(np.linalg.norm(np.multiply(truth.shape, spacing)))
    distances = surface_distance.compute_surface_distances(truth, found, spacing)
    return (
        float(surface_distance.compute_surface_dice_at_tolerance(distances, tolerance_mm)),
        float(surface_distance.compute_robust_hausdorff(distances, 95)),
    )
