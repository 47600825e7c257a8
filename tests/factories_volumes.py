"""Small volumes with known lesions, for the rooms that look into voxels."""

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Geometry
from node.domain.volume import Volume


def make_geometry(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float] = (5.0, 1.0, 1.0)
) -> Geometry:
    """An axial grid as scanners write it: rows to posterior, columns to the left."""
    z, y, x = spacing_mm
    return Geometry.from_axes(
        origin_mm=(-50, -60, 10),
        slice_step_mm=(0, 0, z),
        row_step_mm=(0, y, 0),
        column_step_mm=(x, 0, 0),
        shape=shape,
    )


def make_volume(voxels: NDArray, geometry: Geometry | None = None) -> Volume:
    """A volume around voxels (z, y, x)."""
    geometry = geometry or make_geometry(voxels.shape)
    return Volume(
        voxels=voxels,
        geometry=geometry,
        modality="MR",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        frame_of_reference_uid="1.2.3.5",
        source_uids=tuple(f"1.2.3.4.{k + 1}" for k in range(voxels.shape[0])),
        source_frames=(1,) * voxels.shape[0],
    )


def make_head(shape: tuple[int, int, int] = (5, 160, 144), seed: int = 7) -> NDArray[np.int16]:
    """An ellipse of noisy tissue in air."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
    tissue = (y / 0.8) ** 2 + (x / 0.7) ** 2 < 1
    noise = rng.normal(0, 20, shape)
    return np.where(tissue, 400 + noise, np.abs(noise) / 4).astype(np.int16)


def make_ball(
    shape: tuple[int, int, int],
    centre: tuple[float, float, float],
    radius_mm: float,
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.bool_]:
    """A ball, in index coordinates of its centre."""
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    distance = sum(
        ((grid - c) * s) ** 2 for grid, c, s in zip(grids, centre, spacing_mm, strict=True)
    )
    return np.asarray(distance <= radius_mm**2)
