"""From voxels to the network's grid and back."""

import numpy as np
import pytest
from factories_volumes import make_geometry, make_head, make_volume

from node.segment.preprocess import InputSpec, plan_preparation, resize


def test_slices_come_on_the_grid_normalised_and_padded():
    voxels = make_head((3, 150, 130))
    volume = make_volume(voxels, make_geometry(voxels.shape, (6.0, 0.5, 0.5)))
    preparation = plan_preparation(volume, InputSpec(spacing_mm=1.0))
    plane = preparation.apply(voxels[1])
    assert preparation.grid == (75, 65)
    assert plane.shape == preparation.padded == (80, 80)
    inside = plane[20:55, 20:45]
    assert abs(inside.mean()) < 0.4  # the soft rim takes the mean of the tissue down
    assert (plane[75:] == InputSpec().clip_low).all()


def test_gain_and_offset_do_not_matter():
    voxels = make_head((1, 96, 96)).astype(np.float32)
    plans = [plan_preparation(make_volume(v), InputSpec()) for v in (voxels, voxels * 7)]
    first, second = (plan.apply(v[0]) for plan, v in zip(plans, (voxels, voxels * 7), strict=True))
    assert np.allclose(first, second, atol=1e-3)


def test_empty_slices_are_not_evaluable():
    voxels = make_head((4, 96, 96))
    voxels[2] = voxels[2] // 40
    assert plan_preparation(make_volume(voxels), InputSpec()).evaluable.tolist() == [
        True, True, False, True,
    ]  # fmt: skip


def test_a_volume_of_zeros_has_nothing_to_evaluate():
    voxels = np.zeros((3, 64, 64), np.int16)
    preparation = plan_preparation(make_volume(voxels), InputSpec())
    assert not preparation.evaluable.any()
    assert (preparation.apply(voxels[0]) == InputSpec().clip_low).all()


def test_a_mask_comes_back_where_it_was():
    shape = (1, 192, 176)
    volume = make_volume(make_head(shape), make_geometry(shape, (6.0, 0.7, 0.7)))
    mask = np.zeros(shape[1:], bool)
    mask[40:90, 100:140] = True
    preparation = plan_preparation(volume, InputSpec())
    back = preparation.undo(preparation.apply_mask(mask)) >= 0.5
    assert (back & mask).sum() * 2 / (back.sum() + mask.sum()) > 0.99


@pytest.mark.parametrize("shape", [(64, 64), (20, 90)])
def test_resize_keeps_the_centre_of_mass(shape):
    image = np.zeros((40, 60), np.float32)
    image[10:20, 30:40] = 1
    small = resize(image, shape)
    rows, columns = np.indices(shape)
    centre = np.array([(rows * small).sum(), (columns * small).sum()]) / small.sum()
    expected = (np.array([14.5, 34.5]) + 0.5) * np.array(shape) / np.array(image.shape) - 0.5
    assert centre == pytest.approx(expected, abs=0.05)
