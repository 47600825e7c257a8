"""Points and outlines of structured reports (TID 1500 and others with coordinates) as regions.

Everything within one measurement group belongs to one region, e.g. the outlines of several slices,
or both ends of a diameter; coordinates outside such groups are regions of their own.

References
----------
PS3.3 C.18.6 (SCOORD: column and row from the upper left corner of the image, so that the middle of
its first pixel is 0.5, 0.5), C.18.9 (SCOORD3D: LPS mm); PS3.16 TID 1500, 1410, 1411.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.assemble.inner_point import Location, locate_points, locate_polygons
from node.assemble.regions import Nature, Region
from node.dicom.limits import MAXIMUM_CONTENT_ITEMS, MAXIMUM_CONTOURS, MAXIMUM_POINTS
from node.dicom.text import as_text
from node.domain.study import Series

_GROUP = ("125007", "DCM")
_TRACKING_IDENTIFIER = ("112039", "DCM")
_FINDING = ("121071", "DCM")
_CIRCLE_POINTS = 48

Points = NDArray[np.float64]


@dataclass(kw_only=True)
class _Group:
    """Coordinates that belong together, while they are collected."""

    label: str = ""
    items: list[Dataset] = field(default_factory=list)


def read_annotations(dataset: Dataset, series: Series) -> list[Region]:
    """List the regions that a structured report points at."""
    place = _Placing(dataset, series)
    regions = []
    for group in _collect(dataset):
        on_series = [item for item in group.items if place.is_on_series(item)]
        regions.append(
            Region(
                label=group.label,
                nature=Nature.UNTOLD,
                is_on_series=bool(on_series),
                locate=partial(_locate, on_series, place),
            )
        )
    return regions


def _collect(root: Dataset) -> list[_Group]:
    groups: list[_Group] = []

    left = MAXIMUM_CONTENT_ITEMS

    def walk(item: Dataset, group: _Group | None) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"more than {MAXIMUM_CONTENT_ITEMS} content items")
        if item.get("ValueType") in ("SCOORD", "SCOORD3D"):
            if group is None:
                groups.append(_Group(label=_meaning(item), items=[item]))
            else:
                group.items.append(item)
            return
        if _code(item, "ConceptNameCodeSequence") == _GROUP:
            group = _Group(label=_label(item))
            groups.append(group)
        for child in item.get("ContentSequence") or ():
            walk(child, group)

    walk(root, None)
    return [group for group in groups if group.items]


def _label(group: Dataset) -> str:
    """Tracking identifier of a measurement group and what was found, as far as told."""
    told = []
    for child in group.get("ContentSequence") or ():
        concept = _code(child, "ConceptNameCodeSequence")
        if concept == _TRACKING_IDENTIFIER:
            told.append(as_text(child.get("TextValue")).strip())
        elif concept == _FINDING:
            values = child.get("ConceptCodeSequence") or [Dataset()]
            told.append(as_text(values[0].get("CodeMeaning")))
    return ", ".join(text for text in told if text)


def _locate(items: Sequence[Dataset], place: "_Placing") -> Location:
    if len(items) > MAXIMUM_CONTOURS:
        raise ValueError(f"{len(items)} graphics, at most {MAXIMUM_CONTOURS} are taken")
    numbers = sum(len(item.get("GraphicData") or ()) for item in items)
    if numbers > 3 * MAXIMUM_POINTS:
        raise ValueError(f"{numbers // 3} points, at most {MAXIMUM_POINTS} are taken")
    outlines: list[Points] = []
    points: list[Points] = []
    for item in items:
        shape = str(item.get("GraphicType"))
        found = place.to_lps(item)
        if shape in OUTLINES and len(found) > 2:
            outlines.append(OUTLINES[shape](found))
        else:
            points.append(found)
    if outlines:
        return locate_polygons(outlines)
    return locate_points(np.concatenate(points))


def _as_drawn(points: Points) -> Points:
    return points


def _ellipse(points: Points) -> Points:
    """Outline of an ellipse from the ends of its axes."""
    if len(points) != 4:
        raise ValueError(f"an ellipse of {len(points)} points")
    first, second, third, fourth = points
    turn = np.linspace(0, 2 * np.pi, _CIRCLE_POINTS, endpoint=False)[:, None]
    long, short = (second - first) / 2, (fourth - third) / 2
    return np.asarray((first + second) / 2 + long * np.cos(turn) + short * np.sin(turn))


OUTLINES: dict[str, Callable[[Points], Points]] = {
    "POLYLINE": _as_drawn,
    "POLYGON": _as_drawn,
    "ELLIPSE": _ellipse,
    "CIRCLE": _ellipse,
}
"""Graphic types that enclose something -> how their points become an outline."""


class _Placing:
    """Where the coordinates of a report lie, if they lie on a series."""

    def __init__(self, dataset: Dataset, series: Series) -> None:
        self._root = dataset
        self._series = series
        self._slice_of = {(item.source_uid, item.frame): k for k, item in enumerate(series.slices)}

    def is_on_series(self, item: Dataset) -> bool:
        if item.get("ValueType") == "SCOORD":
            return self._slice(item) is not None
        frame_uid = str(item.get("ReferencedFrameOfReferenceUID") or "")
        return frame_uid != "" and frame_uid == self._series.attributes.get("FrameOfReferenceUID")

    def to_lps(self, item: Dataset) -> Points:
        """Return the points of an item, shape (n, 3)."""
        size = 2 if item.get("ValueType") == "SCOORD" else 3
        numbers = np.array([float(part) for part in item.get("GraphicData") or ()], np.float64)
        if not numbers.size or numbers.size % size or not np.isfinite(numbers).all():
            raise ValueError(f"graphic data of {numbers.size} numbers")
        points = numbers.reshape(-1, size)
        if size == 3:
            return points
        k, geometry = self._slice(item), self._series.geometry
        assert k is not None
        assert geometry is not None
        if item.get("GraphicType") == "CIRCLE":
            points = _circle_axes(points)
        index = np.column_stack([np.full(len(points), k), points[:, 1] - 0.5, points[:, 0] - 0.5])
        return geometry.to_lps(index)

    def _slice(self, item: Dataset) -> int | None:
        for image in self._images(item):
            for reference in image.get("ReferencedSOPSequence") or ():
                frames = reference.get("ReferencedFrameNumber") or 1
                frame = int(frames) if isinstance(frames, (int, str)) else int(frames[0])
                found = self._slice_of.get((str(reference.get("ReferencedSOPInstanceUID")), frame))
                if found is not None:
                    return found
        return None

    def _images(self, item: Dataset) -> Iterator[Dataset]:
        """Images that a coordinate was selected from, also those it refers to elsewhere."""
        for child in item.get("ContentSequence") or ():
            if child.get("ValueType") == "IMAGE":
                yield child
            elif child.get("ReferencedContentItemIdentifier"):
                found = self._follow([int(n) for n in child.ReferencedContentItemIdentifier])
                if found is not None:
                    yield found

    def _follow(self, path: Sequence[int]) -> Dataset | None:
        """Content item by its place in the tree; the root is 1 (PS3.3 C.17.3.2.5)."""
        item = self._root
        for number in path[1:]:
            children = item.get("ContentSequence") or ()
            if not 0 < number <= len(children):
                return None
            item = children[number - 1]
        return item


def _circle_axes(points: Points) -> Points:
    """Ends of two diameters of a circle, given by its centre and a point on it."""
    if len(points) != 2:
        raise ValueError(f"a circle of {len(points)} points")
    centre, edge = points
    radius = edge - centre
    across = radius[::-1] * (-1, 1)
    return np.stack([centre - radius, centre + radius, centre - across, centre + across])


def _code(item: Dataset, keyword: str) -> tuple[str, str]:
    codes = item.get(keyword) or [Dataset()]
    return str(codes[0].get("CodeValue") or ""), str(codes[0].get("CodingSchemeDesignator") or "")


def _meaning(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    return str(names[0].get("CodeMeaning") or "")
