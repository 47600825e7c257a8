"""Patches round a given point of a CT, and the way back; training uses the same code.

All lengths are millimetres, so that neither pixel spacing nor slice thickness changes what the
network sees: rows and columns are resampled in-plane, and the two context slices are interpolated
at a fixed distance along the normal. Slices keep their places, so that the mask does, too.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from node.domain.geometry import Geometry
from node.domain.volume import Volume

Box = tuple[slice, slice, slice]

#: Channels of a patch: context slice before, slice, context slice after, distance.
CHANNELS = 4


@dataclass(frozen=True, kw_only=True)
class NoduleInputSpec:
    """How patches are prepared; part of a bundle's manifest.

    Parameters
    ----------
    spacing_mm : float
        In-plane spacing of the patch.
    size : int
        Rows and columns of the patch.
    reach_mm : float
        Slices up to this distance from the point, along the normal, are looked at.
    neighbour_mm : float
        Distance of the context slices from the slice.
    hu_low, hu_high : float
        Window that is mapped to -1 ... 1; values outside it are clipped.
    distance_mm : float
        The distance channel is 1 at this distance from the point.
    """

    spacing_mm: float = 0.6
    size: int = 64
    reach_mm: float = 30.0
    neighbour_mm: float = 2.0
    hu_low: float = -1000.0
    hu_high: float = 400.0
    distance_mm: float = 20.0

    def widen(self, factor: float) -> "NoduleInputSpec":
        """Return the spec that shows ``factor`` times the extent in as many pixels.

        All lengths grow alike, so that a mass looks as a nodule does.
        """
        return replace(
            self,
            spacing_mm=self.spacing_mm * factor,
            reach_mm=self.reach_mm * factor,
            neighbour_mm=self.neighbour_mm * factor,
            distance_mm=self.distance_mm * factor,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Placement:
    """Where the patches of one point lie in their volume.

    Parameters
    ----------
    shape : tuple of int
        Of the volume.
    slices : ndarray of int, shape (n,)
        Index k of each patch.
    centres : ndarray of float64, shape (n, 2)
        Row and column of each patch's middle.
    step : tuple of float
        Rows and columns of the volume that one pixel of the patch is wide.
    size : int
        Rows and columns of a patch.
    """

    shape: tuple[int, int, int]
    slices: NDArray[np.int64]
    centres: NDArray[np.float64]
    step: tuple[float, float]
    size: int

    @property
    def box(self) -> Box:
        """Smallest box of the volume that holds every patch; empty outside the volume."""
        reach = (self.size - 1) / 2 * np.array(self.step)
        last = np.array(self.shape[1:]) - 1
        low = np.clip(np.ceil(self.centres - reach).min(axis=0), 0, last + 1).astype(int)
        high = np.clip(np.floor(self.centres + reach).max(axis=0), -1, last).astype(int)
        return (
            slice(int(self.slices[0]), int(self.slices[-1]) + 1),
            slice(int(low[0]), int(high[0]) + 1),
            slice(int(low[1]), int(high[1]) + 1),
        )

    def restore(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Interpolate patches (n, size, size) on the voxels of ``box``; 0 beside a patch."""
        _, rows, columns = self.box
        middle = (self.size - 1) / 2
        row_index = np.arange(rows.start, rows.stop)
        column_index = np.arange(columns.start, columns.stop)
        out = np.empty((len(planes), len(row_index), len(column_index)), np.float32)
        for plane, (row, column), target in zip(planes, self.centres, out, strict=True):
            places = np.meshgrid(
                (row_index - row) / self.step[0] + middle,
                (column_index - column) / self.step[1] + middle,
                indexing="ij",
            )
            ndimage.map_coordinates(plane, places, order=1, output=target)
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class NodulePatches:
    """What the network sees of one point.

    Parameters
    ----------
    images : ndarray of float32, shape (n, size, size, 4)
        Slice before, slice and slice after in -1 ... 1, and the distance from the point.
    placement : Placement
    """

    images: NDArray[np.float32]
    placement: Placement


def prepare_patches(
    volume: Volume, point_lps_mm: ArrayLike, spec: NoduleInputSpec
) -> NodulePatches:
    """Cut the patches round a point: one for each slice within reach.

    What lies outside the volume continues its edge, so that no border can be seen in it.

    Parameters
    ----------
    volume : Volume
        CT in HU.
    point_lps_mm : array_like, shape (3,)
        Within the volume.
    spec : NoduleInputSpec
    """
    placement, distances_mm = place_patches(volume.geometry, point_lps_mm, spec)
    shift = _normal_step(volume.geometry) * spec.neighbour_mm
    images = np.empty((len(placement.slices), spec.size, spec.size, CHANNELS), np.float32)
    for n, (k, centre) in enumerate(zip(placement.slices, placement.centres, strict=True)):
        for channel, side in enumerate((-1, 0, 1)):
            place = np.array([k, *centre]) + side * shift
            images[n, ..., channel] = _sample(volume.voxels, place, placement)
    hu = images[..., :3]
    np.clip(hu, spec.hu_low, spec.hu_high, out=hu)
    hu[:] = 2 * (hu - spec.hu_low) / (spec.hu_high - spec.hu_low) - 1
    images[..., 3] = _distance_channel(distances_mm, spec)
    return NodulePatches(images=images, placement=placement)


def mirror_in_depth(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Swap the context slices of patches (n, size, size, 4): as seen from the other end."""
    return images[..., [2, 1, 0, 3]]


def prepare_mask(mask: NDArray[np.bool_], placement: Placement) -> NDArray[np.float32]:
    """Bring a mask (z, y, x) to the patches' grid: shares of area, shape (n, size, size)."""
    soft = mask.astype(np.float32)
    planes = [
        _sample(soft, np.array([k, *centre]), placement, outside="constant")
        for k, centre in zip(placement.slices, placement.centres, strict=True)
    ]
    return np.stack(planes)


def place_patches(
    geometry: Geometry, point_lps_mm: ArrayLike, spec: NoduleInputSpec
) -> tuple[Placement, NDArray[np.float64]]:
    """Find the slices within reach, and the point's place in each, along the normal.

    Returns
    -------
    Placement
    ndarray of float64, shape (n,)
        Distance of each slice from the point in mm, signed.
    """
    step = _normal_step(geometry)
    k, row, column = geometry.to_index(point_lps_mm)
    slices = np.arange(geometry.shape[0])
    distances_mm = (slices - k) / step[0]
    # The slice that holds the point is looked at even where slices are thicker than the reach.
    near = (np.abs(distances_mm) <= spec.reach_mm) | (slices == np.rint(k))
    slices, distances_mm = slices[near], distances_mm[near]
    _, row_mm, column_mm = geometry.spacing_mm
    placement = Placement(
        shape=geometry.shape,
        slices=slices,
        centres=np.array([row, column]) + distances_mm[:, None] * step[1:],
        step=(spec.spacing_mm / row_mm, spec.spacing_mm / column_mm),
        size=spec.size,
    )
    return placement, distances_mm


def _normal_step(geometry: Geometry) -> NDArray[np.float64]:
    """Change of the index [k, j, i] for one millimetre along the normal, towards higher slices."""
    steps = geometry.affine[:, :3]
    normal = np.cross(steps[:, 1], steps[:, 2])
    normal = normal / np.linalg.norm(normal)
    if normal @ steps[:, 0] < 0:
        normal = -normal
    return np.asarray(np.linalg.solve(steps, normal))


def _sample(
    block: NDArray[Any], place: NDArray[np.float64], placement: Placement, outside: str = "nearest"
) -> NDArray[np.float32]:
    """Interpolate one plane of a block about a fractional index [k, j, i]."""
    k = float(np.clip(place[0], 0, block.shape[0] - 1))
    below = int(k)
    weight = np.float32(k - below)
    offsets = np.arange(placement.size) - (placement.size - 1) / 2
    rows = place[1] + offsets * placement.step[0]
    columns = place[2] + offsets * placement.step[1]
    grid = np.meshgrid(rows, columns, indexing="ij")
    planes = [block[below]] if weight == 0 else [block[below], block[below + 1]]
    values = [
        ndimage.map_coordinates(plane, grid, order=1, mode=outside, output=np.float32)
        for plane in planes
    ]
    if len(values) == 1:
        return np.asarray(values[0])
    return np.asarray(values[0] * (1 - weight) + values[1] * weight)


def _distance_channel(
    distances_mm: NDArray[np.float64], spec: NoduleInputSpec
) -> NDArray[np.float32]:
    """Distance of every pixel from the point, in units of ``spec.distance_mm``."""
    offsets = (np.arange(spec.size) - (spec.size - 1) / 2) * spec.spacing_mm
    in_plane = offsets[:, None] ** 2 + offsets**2
    distance = np.sqrt(in_plane + distances_mm[:, None, None] ** 2)
    return np.asarray(distance / spec.distance_mm, np.float32)
