"""A sample case as it might look at the next visit: the patient lies otherwise, the lesion grew.

Both changes are known exactly, so that what is measured can be held against them.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from node.domain.geometry import Vector
from node.emulate.case import SampleCase

TAPER = 1.7
"""The tissue around gives way up to this multiple of the lesion's reach."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FollowUp:
    """A case at the next visit.

    Parameters
    ----------
    case : SampleCase
        On the grid of the first visit.
    matrix : ndarray of float64, shape (3, 4)
        Leads from LPS mm of the next visit to those of the first: where the head has turned from.
    """

    case: SampleCase
    matrix: NDArray[np.float64]


def visit_again(
    case: SampleCase,
    *,
    rotation_degrees: Vector = (0.0, 0.0, 0.0),
    shift_mm: Vector = (0.0, 0.0, 0.0),
    growth: float = 1.0,
) -> FollowUp:
    """Turn and shift the patient, and enlarge the lesion about its middle.

    Parameters
    ----------
    case : SampleCase
    rotation_degrees : tuple of float
        About x, y and z through the middle of the images.
    shift_mm : tuple of float
    growth : float
        Factor on every diameter of the lesion, up to 1.5: the volume grows by its cube.
    """
    if not 0 < growth <= TAPER - 0.2:
        raise ValueError(f"growth by {growth}: more than the tissue around can give way")
    geometry = case.geometry
    turned = Rotation.from_euler("xyz", rotation_degrees, degrees=True).as_matrix()
    middle = geometry.to_lps((np.array(geometry.shape) - 1) / 2)
    back = turned.T
    matrix = np.column_stack([back, middle - back @ (middle + np.array(shift_mm))])
    index = np.moveaxis(np.indices(geometry.shape), 0, -1)
    where = geometry.to_lps(index) @ matrix[:, :3].T + matrix[:, 3]
    from_index = np.moveaxis(geometry.to_index(_shrink(case, where, growth)), -1, 0)
    voxels = ndimage.map_coordinates(case.voxels.astype(np.float32), from_index, order=1)
    mask = ndimage.map_coordinates(case.mask.astype(np.float32), from_index, order=1) >= 0.5
    changed = replace(case, voxels=np.rint(voxels).astype(case.voxels.dtype), mask=mask)
    return FollowUp(case=changed, matrix=matrix)


def _shrink(case: SampleCase, points_mm: NDArray[np.float64], growth: float) -> NDArray[np.float64]:
    """Where the tissue at a place of the grown head was before, LPS mm."""
    lesion = case.geometry.to_lps(np.argwhere(case.mask))
    centre = lesion.mean(axis=0)
    reach = float(np.linalg.norm(lesion - centre, axis=1).max())
    offset = points_mm - centre
    distance = np.linalg.norm(offset, axis=-1)
    # within the grown lesion all shrinks alike; further out ever less, and nothing turns over
    was = np.interp(distance, [0, growth * reach, TAPER * reach], [0, reach, TAPER * reach])
    known = distance < TAPER * reach
    scale = np.where(known, was / np.maximum(distance, 1e-9), 1.0)
    return np.asarray(centre + offset * scale[..., None])
