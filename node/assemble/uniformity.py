"""Planes must be complete and of one kind.

Values are of one kind when no component differs by more than the property's tolerance:
0.001 for direction cosines (under 0.06 degrees) and for spacings in mm, 0 for the matrix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.assemble.planes import Plane
from node.domain.errors import Problem


@dataclass(frozen=True, kw_only=True)
class Property:
    """Something that all planes of a stack must share.

    Parameters
    ----------
    code, tag, remedy : str
        For the problem, when they do not.
    value : callable
        Plane -> array, or None if the plane lacks it.
    tolerance : float
        Largest difference of two values that count as one.
    """

    code: str
    tag: str
    remedy: str
    value: Callable[[Plane], NDArray[np.float64] | None]
    tolerance: float


ORIENTATION = Property(
    code="mixed-orientation",
    tag="ImageOrientationPatient",
    remedy="send localizers and reformats as series of their own",
    value=lambda plane: plane.orientation,
    tolerance=1e-3,
)
MATRIX = Property(
    code="mixed-matrix",
    tag="Rows",
    remedy="send images of one matrix as one series",
    value=lambda plane: np.array(plane.matrix, np.float64),
    tolerance=0.0,
)
SPACING = Property(
    code="mixed-spacing",
    tag="PixelSpacing",
    remedy="send images of one pixel spacing as one series",
    value=lambda plane: plane.spacing_mm,
    tolerance=1e-3,
)


def kinds_of(planes: Sequence[Plane], shared: Property) -> list[list[Plane]]:
    """Group planes by a property, the most frequent kind first."""
    kinds: list[list[Plane]] = []
    for plane in planes:
        for members in kinds:
            if _alike(shared.value(members[0]), shared.value(plane), shared.tolerance):
                members.append(plane)
                break
        else:
            kinds.append([plane])
    return sorted(kinds, key=lambda members: -len(members))


def faults_of_planes(planes: Sequence[Plane], *, series_uid: str, minimum: int) -> list[Problem]:
    """Missing values, mixed values and too few planes, one problem for each kind of fault."""
    problems = _incomplete(planes)
    for shared in (ORIENTATION, MATRIX, SPACING):
        complete = [plane for plane in planes if shared.value(plane) is not None]
        kinds = kinds_of(complete, shared)
        if len(kinds) > 1:
            sizes = ", ".join(str(len(members)) for members in kinds[:5])
            problems.append(
                Problem(
                    code=shared.code,
                    tag=shared.tag,
                    uid=kinds[1][0].source_uid,
                    found=f"{len(kinds)} kinds, with {sizes} slices",
                    expected="one for the whole series",
                    remedy=shared.remedy,
                )
            )
    if len(planes) < minimum:
        problems.append(
            Problem(
                code="single-slice" if len(planes) == 1 else "too-few-slices",
                uid=series_uid,
                found=f"{len(planes)} slice(s)",
                expected=f"at least {minimum}",
                remedy="send the whole series; or name the bundle, as `onconode process "
                "--bundle NAME` takes what there is; or lower assemble.minimum_slices",
            )
        )
    return problems


def _incomplete(planes: Sequence[Plane]) -> list[Problem]:
    needs: list[tuple[str, str, Callable[[Plane], bool]]] = [
        ("missing-position", "ImagePositionPatient", lambda p: p.position_mm is None),
        ("missing-orientation", "ImageOrientationPatient", lambda p: p.orientation is None),
        (
            "missing-spacing",
            "PixelSpacing",
            lambda p: p.spacing_mm is None or float(p.spacing_mm.min()) <= 0,
        ),
    ]
    problems = []
    for code, tag, lacks in needs:
        lacking = [plane for plane in planes if lacks(plane)]
        if lacking:
            problems.append(
                Problem(
                    code=code,
                    tag=tag,
                    uid=lacking[0].source_uid,
                    found=f"no usable value in {len(lacking)} of {len(planes)} slices",
                    expected="a value in every slice",
                    remedy="send the original images with their geometry",
                )
            )
    return problems


def _alike(
    one: NDArray[np.float64] | None, other: NDArray[np.float64] | None, tolerance: float
) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.abs(one - other).max() <= tolerance)
