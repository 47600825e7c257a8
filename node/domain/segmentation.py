"""A lesion mask on the grid of a volume, and the lesions in it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Geometry, Vector, read_only


@dataclass(frozen=True, kw_only=True)
class Lesion:
    """One connected lesion, measured in patient space.

    Parameters
    ----------
    number : int
        Label in the mask and segment number in the SEG, from 1, largest first.
    tracking_id, tracking_uid : str
        Identify the lesion in SEG and SR; stable for the same content and model.
    voxel_count : int
    volume_ml : float
        Voxel count times voxel volume.
    long_axis_mm, short_axis_mm : float
        Largest in-plane diameter over all slices, and the largest perpendicular to it in the
        same slice (RECIST 1.1, doi:10.1016/j.ejca.2008.10.026).
    maximum_3d_diameter_mm : float
        Largest distance between two surface voxels (IBSI L0JK).
    centroid_lps_mm : tuple of float
    largest_slice : int
        Index k of the slice with most voxels of the lesion.
    mean_probability : float
        Mean of the network's probability inside the lesion.
    """

    number: int
    tracking_id: str
    tracking_uid: str
    voxel_count: int
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    maximum_3d_diameter_mm: float
    centroid_lps_mm: Vector
    largest_slice: int
    mean_probability: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """Labelled mask on the grid of its source volume.

    Parameters
    ----------
    labels : ndarray of uint8, shape (z, y, x), read-only
        0 is background, ``n`` is lesion number ``n``.
    probability : ndarray of float16, shape (z, y, x), read-only
        The network's tumour probability.
    geometry : Geometry
        That of the source volume.
    source_uids : tuple of str
        SOP Instance UID of the source of slice ``k``: the mask carries its own order.
    source_frames : tuple of int
        Frame number (1-based) in that source.
    lesions : tuple of Lesion
        Ordered by ``number``; may be empty.
    """

    labels: NDArray[np.uint8]
    probability: NDArray[np.float16]
    geometry: Geometry
    source_uids: tuple[str, ...]
    source_frames: tuple[int, ...]
    lesions: tuple[Lesion, ...]

    def __post_init__(self) -> None:
        for name in ("labels", "probability"):
            array: NDArray[Any] = getattr(self, name)
            if array.shape != self.geometry.shape:
                raise ValueError(f"{name} has shape {array.shape}, expected {self.geometry.shape}")
            object.__setattr__(self, name, read_only(array))

    def mask_of(self, lesion: Lesion) -> NDArray[np.bool_]:
        """Boolean mask of one lesion, shape (z, y, x)."""
        return np.asarray(self.labels == lesion.number)
