"""A made-up CT of soft tissue in lung, as arrays."""

import numpy as np

from node.domain.geometry import Geometry
from node.domain.volume import Volume

CENTRE = np.array([12.0, -30.0, 75.0])


def ct_of(inside, *, spacing_mm=(2.0, 0.7, 0.7), shape=(21, 60, 60), tilt=0.0, turned=False):
    """CT about CENTRE that is 30 HU where ``inside`` (of offsets in mm) holds, else -850."""
    step, row, column = spacing_mm
    sign = -1 if turned else 1
    rows = np.array([0, row * sign, 0])
    columns = np.array([column * sign, 0, 0])
    slices = np.array([0, tilt, step])
    middle = (np.array(shape) - 1) / 2
    geometry = Geometry.from_axes(
        origin_mm=CENTRE - middle[0] * slices - middle[1] * rows - middle[2] * columns,
        slice_step_mm=slices,
        row_step_mm=rows,
        column_step_mm=columns,
        shape=shape,
    )
    offsets = geometry.to_lps(np.moveaxis(np.indices(shape), 0, -1)) - CENTRE
    mask = inside(offsets)
    volume = Volume(
        voxels=np.where(mask, 30, -850).astype(np.int16),
        geometry=geometry,
        modality="CT",
        study_instance_uid="1",
        series_instance_uid="1.1",
        frame_of_reference_uid="1.2",
        source_uids=tuple(str(k) for k in range(shape[0])),
        source_frames=(1,) * shape[0],
    )
    return volume, mask


def ball(radius_mm, at=(0.0, 0.0, 0.0)):
    """Voxels within a radius of a place, given as an offset from CENTRE."""
    return lambda offsets: np.linalg.norm(offsets - np.array(at), axis=-1) <= radius_mm
