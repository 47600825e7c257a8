"""Regions of interest of an RT Structure Set as regions.

References
----------
PS3.3 C.8.8.5 (Structure Set), C.8.8.6 (ROI Contour), C.8.8.8 (RT ROI Observations).
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.assemble.inner_point import Location, locate_points, locate_polygons
from node.assemble.regions import Nature, Region
from node.dicom.limits import MAXIMUM_CONTOURS, MAXIMUM_POINTS
from node.dicom.text import as_text
from node.domain.study import Series

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
#: RT ROI Interpreted Types that are no outline of the visible tumour.
_OTHERS = frozenset(
    {
        "EXTERNAL",
        "PTV",
        "CTV",
        "TREATED_VOLUME",
        "IRRAD_VOLUME",
        "BOLUS",
        "AVOIDANCE",
        "ORGAN",
        "MARKER",
        "REGISTRATION",
        "ISOCENTER",
        "CONTRAST_AGENT",
        "CAVITY",
        "BRACHY_CHANNEL",
        "BRACHY_ACCESSORY",
        "SUPPORT",
        "FIXATION",
        "DOSE_REGION",
        "CONTROL",
    }
)


def read_structures(dataset: Dataset, series: Series) -> list[Region]:
    """List the regions of interest of an RTSTRUCT object."""
    contours: dict[str, list[Dataset]] = {}
    for item in dataset.get("ROIContourSequence") or ():
        number = str(item.get("ReferencedROINumber"))
        contours.setdefault(number, []).extend(item.get("ContourSequence") or ())
    natures = {
        str(item.get("ReferencedROINumber")): nature_of_observation(item)
        for item in dataset.get("RTROIObservationsSequence") or ()
    }
    on_images = series.series_instance_uid in _referenced_series(dataset)
    frame_uid = series.attributes.get("FrameOfReferenceUID", "")
    regions = []
    for structure in dataset.get("StructureSetROISequence") or ():
        number = str(structure.get("ROINumber"))
        own_frame = str(structure.get("ReferencedFrameOfReferenceUID") or "")
        regions.append(
            Region(
                label=as_text(structure.get("ROIName")).strip(),
                nature=natures.get(number, Nature.UNTOLD),
                is_on_series=on_images or (frame_uid != "" and own_frame == frame_uid),
                locate=partial(_locate, contours.get(number, [])),
            )
        )
    return regions


def _locate(contours: Sequence[Dataset]) -> Location:
    """Find a point inside the closed contours; without any, the middle of points and lines."""
    if len(contours) > MAXIMUM_CONTOURS:
        raise ValueError(f"{len(contours)} contours, at most {MAXIMUM_CONTOURS} are taken")
    numbers = sum(len(item.get("ContourData") or ()) for item in contours)
    if numbers > 3 * MAXIMUM_POINTS:
        raise ValueError(f"{numbers // 3} points, at most {MAXIMUM_POINTS} are taken")
    closed = [_points(item) for item in contours if item.get("ContourGeometricType") in _CLOSED]
    polygons = [points for points in closed if len(points) > 2]
    if polygons:
        return locate_polygons(polygons)
    points = [_points(item) for item in contours]
    if not points:
        raise ValueError("no contour")
    return locate_points(np.concatenate(points))


def _points(item: Dataset) -> NDArray[np.float64]:
    numbers = np.array([float(part) for part in item.get("ContourData") or ()], np.float64)
    if not numbers.size or numbers.size % 3 or not np.isfinite(numbers).all():
        raise ValueError(f"contour data of {numbers.size} numbers")
    return numbers.reshape(-1, 3)


def _referenced_series(dataset: Dataset) -> set[str]:
    return {
        str(series.get("SeriesInstanceUID") or "")
        for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    }


def nature_of_observation(observation: Dataset) -> Nature:
    """Tell what a region is by its RT ROI Interpreted Type."""
    kind = str(observation.get("RTROIInterpretedType") or "").strip().upper()
    if kind == "GTV":
        return Nature.LESION
    return Nature.OTHER if kind in _OTHERS else Nature.UNTOLD
