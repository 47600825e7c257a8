"""However a scanner stores rows, columns and slices, the features of a lesion are the same."""

import itertools

import numpy as np
import pytest
from factories_volumes import make_ball, make_volume
from scipy.ndimage import gaussian_filter

from node.domain.geometry import Geometry
from node.domain.volume import Volume
from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.profiles import PLANAR_232, STANDARD_237
from node.segment.lesions import LesionSpec, find_lesions

SHAPE, SPACING_MM = (14, 44, 52), (2.0, 0.8, 0.8)


def as_hung() -> tuple[np.ndarray, np.ndarray]:
    """Textured voxels, and an ellipsoid off the middle that no turn maps to itself."""
    rng = np.random.default_rng(3)
    ball = make_ball(SHAPE, (7, 20, 28), 8.0, SPACING_MM)
    ball[:, 20:, 28:] &= np.indices(SHAPE)[0, :, 20:, 28:] < 9
    texture = gaussian_filter(rng.normal(size=SHAPE), (0.7, 1, 1)) * 300
    return np.round(np.where(ball, 900, 500) + texture + 20 * np.indices(SHAPE)[1]), ball


def store(block: np.ndarray, turns: tuple[bool, bool, bool, bool]) -> np.ndarray:
    slices, rows, columns, swap = turns
    block = block[:: -1 if slices else 1, :: -1 if rows else 1, :: -1 if columns else 1]
    return np.ascontiguousarray(np.swapaxes(block, 1, 2) if swap else block)


def stored(voxels: np.ndarray, turns: tuple[bool, bool, bool, bool]) -> Volume:
    """The same voxels in the same places of the patient, in another order."""
    steps = np.diag(SPACING_MM)[:, ::-1]  # of slices, rows and columns, each (x, y, z)
    origin = np.zeros(3)
    for axis in range(3):
        if turns[axis]:
            origin += (SHAPE[axis] - 1) * steps[axis]
            steps[axis] = -steps[axis]
    order = (0, 2, 1) if turns[3] else (0, 1, 2)
    slice_step, row_step, column_step = steps[list(order)]
    block = store(voxels, turns)
    geometry = Geometry.from_axes(
        origin_mm=origin,
        slice_step_mm=slice_step,
        row_step_mm=row_step,
        column_step_mm=column_step,
        shape=block.shape,
    )
    return make_volume(block.astype(np.int16), geometry)


@pytest.mark.parametrize(
    ("profile", "slice_spacing_mm"), [(PLANAR_232, None), (STANDARD_237, 1.6)], ids=("2D", "3D")
)
def test_the_order_of_storage_changes_no_feature(profile, slice_spacing_mm):
    extractor = Extractor(
        ExtractionSpec(
            profile=profile,
            spacing_mm=0.8,
            slice_spacing_mm=slice_spacing_mm,
            bin_width=10,
            foreground_fraction=0.08,
        )
    )
    voxels, ball = as_hung()
    values = []
    for turns in itertools.product((False, True), repeat=4):
        volume = stored(voxels, turns)
        mask = store(ball, turns)
        found = find_lesions(
            volume, mask.astype(np.float16), LesionSpec(threshold=0.5), model_digest=""
        )
        (lesion,) = found.lesions
        values.append(extractor.extract(volume, found, lesion).values)
    assert np.isfinite(values[0]).sum() > 200
    for other in values[1:]:
        np.testing.assert_allclose(other, values[0], rtol=1e-6, atol=1e-9)
