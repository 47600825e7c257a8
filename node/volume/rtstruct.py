"""Outlines of an RT Structure Set, and the voxels inside them.

Conventions
-----------
* Contours are in the patient coordinate system, LPS mm, of their frame of reference.
* A voxel belongs to a region if its centre lies within the polygon.
* Several contours in one plane count even-odd: a contour within another one is a hole. An exact
  repetition of a contour counts once.
* A contour belongs to the slice that it was drawn on. One that lies between slices, or leans
  against them, was drawn on other images and is refused rather than moved.

References
----------
PS3.3 C.8.8.5 (Structure Set), C.8.8.6 (ROI Contour).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from skimage.draw import polygon2mask

from node.dicom.text import as_text
from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry

FILLED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
OFF_PLANE_SLICES = 0.25
"""Largest distance of a contour's points from their slice, in slices."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """One region of interest.

    Parameters
    ----------
    number : int
    name : str
        ROI Name.
    frame_of_reference_uid : str
        Empty if the object does not tell.
    contours : tuple of ndarray of float64, shape (n, 3)
        Closed planar contours, LPS mm.
    unfilled : int
        Points and open lines, which enclose nothing.
    """

    number: int
    name: str
    frame_of_reference_uid: str
    contours: tuple[NDArray[np.float64], ...]
    unfilled: int = 0


def read_outlines(dataset: Dataset) -> tuple[Outline, ...]:
    """Read the regions of an RTSTRUCT object in the order of their numbers.

    Raises
    ------
    InputRejected
        If contour data are no triples of finite numbers; every region concerned is listed.
    """
    contours_of: dict[int, list[Dataset]] = {}
    for item in dataset.get("ROIContourSequence") or ():
        found = list(item.get("ContourSequence") or ())
        contours_of.setdefault(_number(item.get("ReferencedROINumber")), []).extend(found)
    outlines, problems = [], []
    for region in dataset.get("StructureSetROISequence") or ():
        number, name = _number(region.get("ROINumber")), as_text(region.get("ROIName")).strip()
        items = contours_of.get(number, [])
        filled = [item for item in items if item.get("ContourGeometricType") in FILLED]
        try:
            contours = tuple(_points(item) for item in filled)
        except (TypeError, ValueError) as fault:
            problems.append(_damaged(dataset, number, fault))
            continue
        outlines.append(
            Outline(
                number=number,
                name=name,
                frame_of_reference_uid=str(region.get("ReferencedFrameOfReferenceUID") or ""),
                contours=contours,
                unfilled=len(items) - len(filled),
            )
        )
    if problems:
        raise InputRejected(problems)
    return tuple(sorted(outlines, key=lambda outline: outline.number))


def referenced_series(dataset: Dataset) -> tuple[str, ...]:
    """Series Instance UIDs that an RTSTRUCT object was drawn on, each once."""
    found: dict[str, None] = {}
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for series in study.get("RTReferencedSeriesSequence") or ():
                found[str(series.get("SeriesInstanceUID") or "")] = None
    return tuple(uid for uid in found if uid)


def rasterise_outline(outline: Outline, geometry: Geometry) -> NDArray[np.bool_]:
    """Fill the contours of a region on a grid.

    Parameters
    ----------
    outline : Outline
    geometry : Geometry
        Of the images that it was drawn on.

    Returns
    -------
    ndarray of bool, shape (z, y, x)

    Raises
    ------
    InputRejected
        If a contour lies off the slices or beyond the grid, or if every other slice was left out.
        A mask that lacks part of the region is never returned.
    """
    mask = np.zeros(geometry.shape, bool)
    seen: set[tuple[int, bytes]] = set()
    off_plane = outside = 0
    for contour in outline.contours:
        index = geometry.to_index(contour)
        k = round(float(index[:, 0].mean()))
        if np.abs(index[:, 0] - k).max() > OFF_PLANE_SLICES:
            off_plane += 1
        elif _is_outside(index, k, geometry.shape):
            outside += 1
        elif (k, contour.tobytes()) not in seen:
            seen.add((k, contour.tobytes()))
            mask[k] ^= polygon2mask(geometry.shape[1:], index[:, 1:])
    problems = []
    total = len(outline.contours)
    if off_plane:
        problems.append(_misplaced("outline-off-plane", off_plane, total, "on a slice"))
    if outside:
        problems.append(_misplaced("outline-outside", outside, total, "within the images"))
    drawn = np.unique([k for k, _ in seen])
    if drawn.size > 2 and np.diff(drawn).min() > 1:
        problems.append(
            Problem(
                code="outline-skips-slices",
                found=f"contours at least {np.diff(drawn).min()} slices apart",
                expected="a contour on every slice that the region crosses",
                remedy="interpolate the contours in the tool that drew them",
                tag="ContourData",
            )
        )
    if problems:
        raise InputRejected(problems)
    return mask


def _is_outside(index: NDArray[np.float64], k: int, shape: tuple[int, int, int]) -> bool:
    """Tell whether a contour leaves the grid by more than its edge voxels."""
    in_plane = index[:, 1:]
    within = 0 <= k < shape[0] and (in_plane >= -1).all() and (in_plane <= shape[1:]).all()
    return not within


def _points(item: Dataset) -> NDArray[np.float64]:
    # As it was encoded: pydicom checks every decimal string, which takes thirty times longer.
    value = getattr(item.get_item("ContourData"), "value", None) or ()
    texts = value.rstrip(b" \0").split(b"\\") if isinstance(value, bytes) else value
    numbers = np.array([float(text) for text in texts], np.float64)
    if numbers.size < 9 or numbers.size % 3 or not np.isfinite(numbers).all():
        raise ValueError(f"{numbers.size} numbers")
    return numbers.reshape(-1, 3)


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _damaged(dataset: Dataset, number: int, fault: Exception) -> Problem:
    return Problem(
        code="damaged-contour",
        found=f"contour data of region {number}: {type(fault).__name__}: {str(fault)[:80]}",
        expected="at least three points of three finite numbers",
        remedy="export the structure set again",
        tag="ContourData",
        uid=str(dataset.get("SOPInstanceUID") or ""),
    )


def _misplaced(code: str, count: int, total: int, expected: str) -> Problem:
    return Problem(
        code=code,
        found=f"{count} of {total} contours elsewhere",
        expected=f"every contour {expected}",
        remedy="give the complete series that the outline was drawn on",
        tag="ContourData",
    )
