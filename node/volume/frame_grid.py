"""The grid that the frames of a SEG lie on, told by the SEG alone.

References
----------
PS3.3 C.7.6.16.2.1 (Pixel Measures), C.7.6.16.2.3 (Plane Position).
"""

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.dicom.functional_groups import value_of
from node.dicom.pixels import count_frames
from node.dicom.seg_frames import place_frame
from node.domain.geometry import Geometry

OFF_STEP = 0.25
"""Distances between frames may be off a whole number of slices by so much of one."""
SAME_PLACE_MM = 0.01


def read_frame_grid(dataset: Dataset) -> Geometry:
    """Return the smallest grid with every frame of a SEG object.

    Frames may be left out, repeated (of several segments) and in any order, as long as they are
    parallel and their distances are whole numbers of slices.

    Raises
    ------
    KeyError
        A frame does not tell its place.
    ValueError
        There is no frame, or the frames are not parallel or not evenly spaced.
    """
    count = count_frames(dataset)
    if not count:
        raise ValueError("no frame")
    places = [place_frame(dataset, frame) for frame in range(count)]
    row_step, column_step = places[0].row_step_mm, places[0].column_step_mm
    tolerance_mm = SAME_PLACE_MM / max(int(dataset.Rows), int(dataset.Columns))
    for place in places:
        if (
            np.abs(place.row_step_mm - row_step).max() > tolerance_mm
            or np.abs(place.column_step_mm - column_step).max() > tolerance_mm
        ):
            raise ValueError("frames that are not parallel, or of several pixel sizes")
    normal = np.cross(column_step, row_step)
    normal /= np.linalg.norm(normal)
    origins = np.array([place.origin_mm for place in places])
    heights = origins @ normal
    order = np.argsort(heights)
    first, last = origins[order[0]], origins[order[-1]]
    distance_mm = _slice_distance_mm(dataset, np.sort(heights))
    steps = (heights - heights.min()) / distance_mm
    if np.abs(steps - np.rint(steps)).max() > OFF_STEP:
        raise ValueError("frames that are not evenly spaced")
    slices = round(float(steps.max())) + 1
    # along the line through the frames, which leans where the gantry was tilted
    slice_step = (last - first) / (slices - 1) if slices > 1 else normal * distance_mm
    return Geometry.from_axes(
        origin_mm=first,
        slice_step_mm=slice_step,
        row_step_mm=row_step,
        column_step_mm=column_step,
        shape=(slices, int(dataset.Rows), int(dataset.Columns)),
    )


def _slice_distance_mm(dataset: Dataset, heights_mm: NDArray[np.float64]) -> float:
    """As the positions have it where two frames may be neighbours, else as the header says."""
    gaps_mm = np.diff(heights_mm)
    gaps_mm = gaps_mm[gaps_mm > SAME_PLACE_MM]
    spacing_mm = float(value_of(dataset, 0, "SpacingBetweenSlices") or 0)
    if not gaps_mm.size:
        stated_mm = spacing_mm or float(value_of(dataset, 0, "SliceThickness") or 0)
        if stated_mm <= 0:
            raise ValueError("one frame, and no distance between slices")
        return stated_mm
    smallest_mm = float(gaps_mm.min())
    if spacing_mm <= 0:
        return smallest_mm
    slices = round(smallest_mm / spacing_mm)
    if slices < 1 or abs(smallest_mm / spacing_mm - slices) > OFF_STEP:
        raise ValueError("frames that are not evenly spaced")
    return smallest_mm / slices  # by the positions: a rounded header would add up over many slices
