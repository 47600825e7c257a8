"""A point inside what was marked, whatever its shape."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

from node.domain.geometry import Vector

#: Outlines are filled on a grid of this many pixels across, but no finer than ``FINEST_MM``.
ACROSS = 96
FINEST_MM = 0.2
#: Contours whose planes lie this close together lie in one plane.
SAME_PLANE_MM = 0.05


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where something marked lies.

    Parameters
    ----------
    point_lps_mm : tuple of float
        Inside it.
    extent_mm : float or None
        Largest extent along an axis of the patient; None for a point.
    """

    point_lps_mm: Vector
    extent_mm: float | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkedPlane:
    """Marked pixels of one plane.

    Parameters
    ----------
    pixels : ndarray of bool, shape (rows, columns)
    origin_mm, row_step_mm, column_step_mm : ndarray of float64, shape (3,)
        Place of pixel [0, 0], and the steps to the next row and column, LPS mm.
    """

    pixels: NDArray[np.bool_]
    origin_mm: NDArray[np.float64]
    row_step_mm: NDArray[np.float64]
    column_step_mm: NDArray[np.float64]

    @property
    def pixel_area_mm2(self) -> float:
        """Area of one pixel."""
        return float(np.linalg.norm(np.cross(self.row_step_mm, self.column_step_mm)))

    def to_lps(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map [row, column], shape (..., 2), to LPS mm, shape (..., 3)."""
        return np.asarray(
            self.origin_mm + index @ np.stack([self.row_step_mm, self.column_step_mm])
        )

    def holds(self, point_mm: NDArray[np.float64]) -> bool:
        """Tell whether the pixel under a point of space, along the normal, is marked."""
        steps = np.stack([self.row_step_mm, self.column_step_mm], axis=1)
        (row, column), *_ = np.linalg.lstsq(steps, point_mm - self.origin_mm, rcond=None)
        rows, columns = self.pixels.shape
        inside = -0.5 <= row < rows - 0.5 and -0.5 <= column < columns - 0.5
        return bool(inside and self.pixels[round(row), round(column)])


def locate_planes(planes: Iterable[MarkedPlane]) -> Location:
    """Find a point inside marked planes.

    It is the centroid, if that is marked; else the point of the largest plane that lies deepest
    within its marks, since the centroid of a crescent or a ring lies in something else.

    Raises
    ------
    ValueError
        If nothing is marked.
    """
    marked: list[MarkedPlane] = []
    counts, middles, ends = [], [], []
    for plane in planes:  # a whole body has too many pixels to keep the places of all
        if not plane.pixels.any():
            continue
        places = plane.to_lps(np.argwhere(plane.pixels).astype(float))
        marked.append(_cropped(plane))
        counts.append(len(places))
        middles.append(places.mean(axis=0))
        ends += [places.min(axis=0), places.max(axis=0)]
    if not marked:
        raise ValueError("nothing is marked")
    weights = np.array([plane.pixel_area_mm2 for plane in marked])
    areas = weights * counts
    centroid = np.average(middles, axis=0, weights=areas)
    nearest = int(np.argmin([_distance(plane, centroid) for plane in marked]))
    point = centroid
    if not marked[nearest].holds(centroid):
        point = _deepest(marked[int(areas.argmax())])
    return Location(point_lps_mm=_vector(point), extent_mm=float(np.ptp(ends, axis=0).max()))


def _cropped(plane: MarkedPlane) -> MarkedPlane:
    """Leave out rows and columns around what is marked."""
    rows, columns = (np.flatnonzero(plane.pixels.any(axis=axis)) for axis in (1, 0))
    return MarkedPlane(
        pixels=plane.pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy(),
        origin_mm=plane.to_lps(np.array([rows[0], columns[0]], float)),
        row_step_mm=plane.row_step_mm,
        column_step_mm=plane.column_step_mm,
    )


def locate_points(points_mm: NDArray[np.float64]) -> Location:
    """Find the middle of points, shape (n, 3), e.g. the ends of a diameter."""
    extent_mm = float(np.ptp(points_mm, axis=0).max()) if len(points_mm) > 1 else None
    return Location(point_lps_mm=_vector(points_mm.mean(axis=0)), extent_mm=extent_mm)


def fill_polygons(polygons: Sequence[NDArray[np.float64]]) -> list[MarkedPlane]:
    """Fill closed planar polygons (n, 3) of any orientation, one plane for each plane of them.

    Polygons of one plane count even-odd: one within another is a hole.
    """
    normal = max((_newell(polygon) for polygon in polygons), key=np.linalg.norm)
    length = float(np.linalg.norm(normal))
    if length == 0:
        raise ValueError("an outline encloses no area")
    normal = normal / length
    across = np.cross(normal, np.eye(3)[np.abs(normal).argmin()])
    across = across / np.linalg.norm(across)
    axes = np.stack([np.cross(normal, across), across])
    flat = np.concatenate(polygons) @ axes.T
    low, high = flat.min(axis=0), flat.max(axis=0)
    pitch_mm = max(float((high - low).max()) / ACROSS, FINEST_MM)
    shape = tuple(np.ceil((high - low) / pitch_mm).astype(int) + 1)
    groups: dict[int, list[NDArray[np.float64]]] = {}
    for polygon in polygons:
        height = float((polygon @ normal).mean())
        groups.setdefault(round(height / SAME_PLANE_MM), []).append(polygon)
    planes = []
    for members in groups.values():
        pixels = np.zeros(shape, bool)
        for polygon in members:
            pixels ^= polygon2mask(shape, (polygon @ axes.T - low) / pitch_mm)
        height = float(np.mean([(polygon @ normal).mean() for polygon in members]))
        planes.append(
            MarkedPlane(
                pixels=pixels,
                origin_mm=low @ axes + height * normal,
                row_step_mm=axes[0] * pitch_mm,
                column_step_mm=axes[1] * pitch_mm,
            )
        )
    return planes


def locate_polygons(polygons: Sequence[NDArray[np.float64]]) -> Location:
    """Find a point inside closed planar polygons (n, 3).

    Raises
    ------
    ValueError
        If they enclose no area.
    """
    corners = np.concatenate(polygons)
    planes = fill_polygons(polygons)
    if not any(plane.pixels.any() for plane in planes):
        return locate_points(corners)  # finer than the grid that they are filled on
    found = locate_planes(planes)
    return Location(point_lps_mm=found.point_lps_mm, extent_mm=float(np.ptp(corners, axis=0).max()))


def _newell(polygon: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normal of a polygon, twice its area long."""
    return np.asarray(np.cross(polygon, np.roll(polygon, -1, axis=0)).sum(axis=0))


def _distance(plane: MarkedPlane, point_mm: NDArray[np.float64]) -> float:
    normal = np.cross(plane.row_step_mm, plane.column_step_mm)
    return float(abs((point_mm - plane.origin_mm) @ normal) / np.linalg.norm(normal))


def _deepest(plane: MarkedPlane) -> NDArray[np.float64]:
    steps = np.linalg.norm([plane.row_step_mm, plane.column_step_mm], axis=1)
    depth = ndimage.distance_transform_edt(np.pad(plane.pixels, 1), sampling=steps)
    index = np.array(np.unravel_index(depth.argmax(), depth.shape), float) - 1
    return plane.to_lps(index)


def _vector(point: NDArray[np.float64]) -> Vector:
    x, y, z = (float(part) for part in point)
    return x, y, z
