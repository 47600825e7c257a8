"""Rigid registration of an earlier volume to the present one.

Both are brought to coarse isotropic grids along the axes of the patient first: every orientation,
slice distance and gantry tilt becomes one case, and a large CT costs no more than a head.

References
----------
Mattes et al., doi:10.1109/TMI.2003.809072 (mutual information); Euler transforms as in SimpleITK.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from node.compare.coarse import CoarseImage, coarsen
from node.compare.likeness import judge_likeness
from node.domain.prior import Registration
from node.domain.volume import Volume

SEED = 20240917
SAMPLED = 0.2
"""Share of the voxels that the metric looks at."""
BINS = 32
COARSE_LEVELS = ((4, 4.0), (2, 2.0))
FINE_LEVELS = ((1, 0.0),)
"""Shrink factor and smoothing in mm of each level."""
NOT_REGISTERED = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def register(present: Volume, earlier: Volume) -> Registration:
    """Find the rigid map from the present volume to the earlier one.

    Starts from the headers where both name one frame of reference; else also from the middles of
    the images and of their intensities, and goes on from whichever fits best. One thread and a
    fixed seed: the same volumes give the same map.
    """
    shared = bool(
        present.frame_of_reference_uid
        and present.frame_of_reference_uid == earlier.frame_of_reference_uid
    )
    fixed, moving = coarsen(present), coarsen(earlier)
    starts = [_shifted(fixed, np.zeros(3))] if shared else _starts(fixed, moving)
    try:
        tried = [_optimise(fixed, moving, start, COARSE_LEVELS) for start in starts]
        best, _ = min(tried, key=lambda each: each[1])
        found, _ = _optimise(fixed, moving, best, FINE_LEVELS)
    except RuntimeError as error:  # ITK: too few samples of one image lie in the other
        return _failed(f"the images do not overlap ({_first_words(error)})", shared)
    matrix = _matrix_of(found)
    likeness = judge_likeness(fixed, moving, matrix)
    return Registration(
        is_trusted=likeness.is_good,
        reason=likeness.told,
        matrix=tuple(float(value) for value in matrix.ravel()),
        rotation_degrees=likeness.rotation_degrees,
        translation_mm=float(np.linalg.norm(_move(matrix, fixed.middle_mm) - fixed.middle_mm)),
        correlation=likeness.correlation,
        overlap=likeness.overlap,
        shares_frame_of_reference=shared,
    )


def not_registered(reason: str) -> Registration:
    """Stand for a registration that could not be tried."""
    return _failed(reason, shared=False)


def _failed(reason: str, shared: bool) -> Registration:
    return Registration(
        is_trusted=False,
        reason=reason,
        matrix=NOT_REGISTERED,
        rotation_degrees=0.0,
        translation_mm=0.0,
        correlation=0.0,
        overlap=0.0,
        shares_frame_of_reference=shared,
    )


def _first_words(error: RuntimeError) -> str:
    """Return what ITK says, without the addresses of its objects: they differ in every run."""
    return re.sub(r"\(0x[0-9a-fA-F]+\)", "", str(error).strip().splitlines()[-1])[:120]


def _shifted(fixed: CoarseImage, shift_mm: NDArray[np.float64]) -> Any:
    transform: Any = SimpleITK.Euler3DTransform()
    transform.SetCenter([float(value) for value in fixed.middle_mm])
    transform.SetTranslation([float(value) for value in shift_mm])
    return transform


def _starts(fixed: CoarseImage, moving: CoarseImage) -> list[Any]:
    shifts = (
        np.zeros(3),
        moving.middle_mm - fixed.middle_mm,
        moving.mass_centre_mm - fixed.mass_centre_mm,
    )
    return [_shifted(fixed, shift) for shift in shifts]


def _optimise(
    fixed: CoarseImage, moving: CoarseImage, start: Any, levels: Sequence[tuple[int, float]]
) -> tuple[Any, float]:
    """Return the map that was found from a start, and the metric there (smaller fits better)."""
    method: Any = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(SAMPLED, SEED)
    method.SetMetricFixedMask(fixed.inside)
    method.SetMetricMovingMask(moving.inside)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=1e-3, numberOfIterations=150, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([shrink for shrink, _ in levels])
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma in levels])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(SimpleITK.Euler3DTransform(start), inPlace=False)
    found = method.Execute(fixed.image, moving.image)
    if hasattr(found, "GetNthTransform"):
        found = found.GetNthTransform(0)
    return SimpleITK.Euler3DTransform(found), float(method.GetMetricValue())


def _matrix_of(transform: Any) -> NDArray[np.float64]:
    """Return the map as 3 x 4, rounded: noise behind the digits would give results new UIDs."""
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    matrix = np.column_stack([rotation, shift + centre - rotation @ centre])
    return np.asarray(np.round(matrix, 6))


def _move(matrix: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(matrix[:, :3] @ point + matrix[:, 3])


def to_earlier(registration: Registration, points_mm: Any) -> NDArray[np.float64]:
    """Map LPS mm of the present examination, shape (..., 3), to those of the earlier one."""
    matrix = np.array(registration.matrix).reshape(3, 4)
    return np.asarray(np.asarray(points_mm, float) @ matrix[:, :3].T + matrix[:, 3])


def to_present(registration: Registration, points_mm: Any) -> NDArray[np.float64]:
    """Map LPS mm of the earlier examination, shape (..., 3), to those of the present one."""
    matrix = np.array(registration.matrix).reshape(3, 4)
    offset = np.asarray(points_mm, float) - matrix[:, 3]
    return offset @ np.linalg.inv(matrix[:, :3]).T
