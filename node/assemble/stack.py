"""Planes -> one regular stack, or every reason why they form none.

Conventions
-----------
* The normal is row direction x column direction (PS3.3 C.7.6.2.1.1); slices are ordered by
  ImagePositionPatient . normal and by nothing else: instance numbers and plane names may lie.
* Two planes closer than 0.01 mm along the normal lie at one position.
* A step of more than 1.5 times the median step is a gap: slices are missing. Where gaps are let
  pass, the longest run of slices without one is the stack.
* Otherwise every position must lie near the straight, even line that fits them best, within
  a tenth of the step, at most 0.1 mm (positions are often rounded to 0.1 or 0.01 mm).
* That line may lean against the normal: a tilted gantry gives a sheared but regular grid, which
  is accepted. A shift that changes from slice to slice is refused as uneven.
* A single slice, where it is allowed, is as far from the next one as it is thick; without a
  thickness 1 mm is assumed, since areas and diameters in the slice hold all the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.assemble.planes import Plane
from node.assemble.uniformity import ORIENTATION, faults_of_planes, kinds_of
from node.domain.errors import Problem
from node.domain.geometry import Geometry

SAME_POSITION_MM = 0.01
GAP_FACTOR = 1.5
TOLERANCE_OF_STEP = 0.1
TOLERANCE_MM = 0.1
ASSUMED_THICKNESS_MM = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack:
    """Result of ``build_stack``.

    Parameters
    ----------
    planes : tuple of Plane
        Along the normal.
    geometry : Geometry or None
        None when there are problems.
    tilt_degrees : float
        Angle between the slice step and the normal.
    problems : tuple of Problem
    missing : int
        About how many slices the gaps lack, where they were let pass.
    """

    planes: tuple[Plane, ...] = ()
    geometry: Geometry | None = None
    tilt_degrees: float = 0.0
    problems: tuple[Problem, ...] = ()
    missing: int = 0


def build_stack(
    planes: Sequence[Plane], *, series_uid: str, minimum: int, let_gaps_pass: bool = False
) -> Stack:
    """Order planes along their normal and fit the grid that they lie on.

    Faults do not stop the search for others: checks of positions go on with the planes that are
    complete and of the most frequent orientation.

    Parameters
    ----------
    planes : sequence of Plane
    series_uid : str
    minimum : int
        Fewer slices are refused.
    let_gaps_pass : bool
        Take the longest run without a gap instead of refusing the series.
    """
    problems = faults_of_planes(planes, series_uid=series_uid, minimum=minimum)
    whole = [p for p in planes if p.position_mm is not None and p.orientation is not None]
    kinds = kinds_of(whole, ORIENTATION)
    if not kinds or len(kinds[0]) < min(2, minimum):
        return Stack(problems=tuple(problems))
    run_of = minimum if let_gaps_pass and len(whole) == len(planes) else None
    return _along_normal(
        kinds[0], problems, series_uid, all_placed=len(whole) == len(planes), run_of=run_of
    )


def _along_normal(
    planes: list[Plane],
    problems: list[Problem],
    series_uid: str,
    *,
    all_placed: bool,
    run_of: int | None,
) -> Stack:
    row, column = np.mean([p.orientation for p in planes if p.orientation is not None], axis=0)
    normal = np.cross(row, column)
    if not _is_rotation(row, column):
        problems.append(
            Problem(
                code="invalid-orientation",
                tag="ImageOrientationPatient",
                uid=planes[0].source_uid,
                found="direction cosines that are no unit vectors at a right angle",
                expected="two perpendicular unit vectors",
                remedy="send the original images",
            )
        )
        return Stack(problems=tuple(problems))
    heights = np.array([plane.position_mm for plane in planes]) @ normal
    order = np.argsort(heights, kind="stable")
    planes, heights = [planes[k] for k in order], heights[order]
    distinct = np.concatenate([[True], np.diff(heights) > SAME_POSITION_MM])
    if not distinct.all():
        problems.append(_duplicates(distinct, series_uid))
    kept = [plane for plane, is_new in zip(planes, distinct, strict=True) if is_new]
    positions = np.array([plane.position_mm for plane in kept])
    missing = 0
    if run_of is not None and len(kept) > 1:
        run, missing = _longest_run(positions @ normal)
        if run.stop - run.start >= run_of:  # else the gaps are told
            kept, positions = kept[run], positions[run]
    if all_placed and len(kept) > 1:  # else the planes without a place would be told again as gaps
        problems += _uneven(positions, normal, series_uid)
    if problems:
        return Stack(problems=tuple(problems))
    if len(kept) == 1:
        thickness_mm = kept[0].thickness_mm or ASSUMED_THICKNESS_MM
        origin, step = positions[0], normal * thickness_mm
    else:
        origin, step = _even_line(positions)
    spacing = kept[0].spacing_mm
    assert spacing is not None, "planes without spacing were listed as incomplete"
    geometry = Geometry.from_axes(
        origin_mm=origin,
        slice_step_mm=step,
        row_step_mm=column * spacing[0],
        column_step_mm=row * spacing[1],
        shape=(len(kept), *kept[0].matrix),
    )
    cosine = float(step @ normal / np.linalg.norm(step))
    tilt_degrees = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return Stack(planes=tuple(kept), geometry=geometry, tilt_degrees=tilt_degrees, missing=missing)


def _longest_run(heights_mm: NDArray[np.float64]) -> tuple[slice, int]:
    """The most slices that follow each other without a gap, and how many all gaps lack."""
    steps_mm = np.diff(heights_mm)
    usual_mm = float(np.median(steps_mm))
    gaps = np.flatnonzero(steps_mm > GAP_FACTOR * usual_mm)
    starts, stops = [0, *(gaps + 1)], [*(gaps + 1), len(heights_mm)]
    start, stop = max(zip(starts, stops, strict=True), key=lambda run: run[1] - run[0])
    missing = int(np.rint(steps_mm[gaps] / usual_mm).sum()) - len(gaps)
    return slice(int(start), int(stop)), missing


def _even_line(
    positions: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Origin and step of the even line that fits the positions best (least squares)."""
    middle = (len(positions) - 1) / 2
    index = np.arange(len(positions)) - middle
    centre = positions.mean(axis=0)
    step = index @ (positions - centre) / (index @ index)
    return centre - middle * step, step


def _is_rotation(row: NDArray[np.float64], column: NDArray[np.float64]) -> bool:
    products = np.array([row @ row - 1, column @ column - 1, row @ column])
    return bool(np.abs(products).max() <= 2 * ORIENTATION.tolerance)


def _uneven(
    positions: NDArray[np.float64], normal: NDArray[np.float64], series_uid: str
) -> list[Problem]:
    """Gaps, or positions off the even line, in positions that are ordered and distinct."""
    steps_mm = np.diff(positions @ normal)
    usual_mm = float(np.median(steps_mm))
    gaps = steps_mm > GAP_FACTOR * usual_mm
    if gaps.any():
        missing = int(np.rint(steps_mm[gaps] / usual_mm).sum() - gaps.sum())
        widest = ", ".join(f"{step:.2f}" for step in np.unique(steps_mm[gaps].round(2))[::-1][:5])
        return [
            Problem(
                code="missing-slices",
                tag="ImagePositionPatient",
                uid=series_uid,
                found=f"{gaps.sum()} gap(s) of {widest} mm: about {missing} slice(s) missing",
                expected=f"one slice every {usual_mm:.2f} mm",
                remedy="send the whole series again",
            )
        ]
    origin, step = _even_line(positions)
    even = origin + np.outer(np.arange(len(positions)), step)
    off_mm = float(np.linalg.norm(positions - even, axis=1).max())
    allowed_mm = min(TOLERANCE_OF_STEP * usual_mm, TOLERANCE_MM)
    if off_mm <= allowed_mm:
        return []
    sideways_mm = positions - even
    sideways_mm = sideways_mm - np.outer(sideways_mm @ normal, normal)
    is_shift = np.linalg.norm(sideways_mm, axis=1).max() > allowed_mm
    return [
        Problem(
            code="uneven-shift" if is_shift else "uneven-spacing",
            tag="ImagePositionPatient",
            uid=series_uid,
            found=(
                f"steps of {steps_mm.min():.3f} to {steps_mm.max():.3f} mm, "
                f"positions up to {off_mm:.3f} mm off an even line"
            ),
            expected=f"even steps within {allowed_mm:.3f} mm",
            remedy="send a series with even steps, such as one reconstructed anew",
        )
    ]


def _duplicates(distinct: NDArray[np.bool_], series_uid: str) -> Problem:
    groups = np.cumsum(distinct)
    counts = np.bincount(groups)[1:]
    return Problem(
        code="duplicate-position",
        tag="ImagePositionPatient",
        uid=series_uid,
        found=f"{(counts > 1).sum()} position(s) with up to {counts.max()} slices",
        expected="one slice at every position, or attributes that tell several volumes apart",
        remedy="send slices once, and volumes that no attribute tells apart as series",
    )
