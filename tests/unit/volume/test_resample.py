"""Resampling keeps places in mm, also on oblique and sheared grids."""

import numpy as np
import pytest

from node.domain.geometry import Geometry
from node.domain.volume import Volume
from node.volume.grids import grid_with_spacing, is_sheared
from node.volume.resample import (
    from_simpleitk,
    resample_labels,
    resample_to,
    resample_volume,
    to_simpleitk,
)

OBLIQUE = np.array([[0.96, -0.28, 0.0], [0.168, 0.576, -0.8], [0.224, 0.768, 0.6]])


def make_geometry(*, shape=(8, 20, 24), spacing=(5.0, 0.9, 0.7), turn=None, shear_mm=0.0):
    axes = np.eye(3) if turn is None else turn
    return Geometry.from_axes(
        origin_mm=(-20.0, 11.0, 31.0),
        slice_step_mm=axes[:, 2] * spacing[0] + axes[:, 1] * shear_mm,
        row_step_mm=axes[:, 1] * spacing[1],
        column_step_mm=axes[:, 0] * spacing[2],
        shape=shape,
    )


def make_volume(voxels, geometry):
    return Volume(
        voxels=voxels,
        geometry=geometry,
        modality="MR",
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        frame_of_reference_uid="",
        source_uids=tuple(f"1.2.3.{k}" for k in range(geometry.shape[0])),
        source_frames=(1,) * geometry.shape[0],
    )


def ramp_on(geometry):
    """A field that is linear in LPS mm: linear interpolation must give it back exactly."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1)
    return (geometry.to_lps(index) @ np.array([1.0, -2.0, 0.5])).astype(np.float32)


@pytest.mark.parametrize("turn", [None, OBLIQUE, np.diag([1.0, -1.0, 1.0])])
def test_simpleitk_agrees_on_every_place(turn):
    geometry = make_geometry(turn=turn)
    image = to_simpleitk(make_volume(np.zeros(geometry.shape, np.int16), geometry))
    for k, j, i in [(0, 0, 0), (7, 0, 0), (0, 19, 0), (3, 4, 23)]:
        place = image.TransformIndexToPhysicalPoint((i, j, k))
        assert np.allclose(place, geometry.to_lps((k, j, i)), atol=1e-9)
    _, back = from_simpleitk(image)
    assert back.is_close(geometry, 1e-9)


def test_sheared_grid_is_not_handed_to_tools_that_look_at_spacing_alone():
    geometry = make_geometry(shear_mm=1.3)
    assert is_sheared(geometry)
    with pytest.raises(ValueError, match="sheared"):
        to_simpleitk(make_volume(np.zeros(geometry.shape, np.int16), geometry))


@pytest.mark.parametrize(("turn", "shear_mm"), [(None, 0.0), (OBLIQUE, 0.0), (OBLIQUE, 1.3)])
def test_resampled_values_belong_to_their_place(turn, shear_mm):
    source = make_geometry(turn=turn, shear_mm=shear_mm)
    volume = make_volume(ramp_on(source), source)
    values, target = resample_volume(volume, (2.5, 1.1, 1.1), fill=np.nan)
    assert not is_sheared(target)
    assert target.spacing_mm == pytest.approx((2.5, 1.1, 1.1))
    index = np.argwhere(np.isfinite(values))
    at_source = source.to_index(target.to_lps(index))
    inside = ((at_source >= 0) & (at_source <= np.array(source.shape) - 1)).all(axis=1)
    assert inside.sum() > 1000
    expected = ramp_on(target)[tuple(index[inside].T)]
    assert np.allclose(values[tuple(index[inside].T)], expected, atol=1e-2)


def test_every_source_voxel_lies_inside_the_covering_grid():
    source = make_geometry(turn=OBLIQUE, shear_mm=1.3)
    target = grid_with_spacing(source, (3.0, 1.0, 1.0))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in source.shape])).reshape(3, -1).T
    at_target = target.to_index(source.to_lps(corners))
    assert (at_target >= -0.5).all()
    assert (at_target <= np.array(target.shape) - 0.5).all()


def test_same_spacing_gives_the_same_grid_and_values():
    geometry = make_geometry(turn=OBLIQUE)
    assert grid_with_spacing(geometry, geometry.spacing_mm).is_close(geometry, 1e-6)
    ramp = ramp_on(geometry)
    assert np.allclose(
        resample_to(ramp, geometry, geometry, interpolation="linear"), ramp, atol=1e-3
    )


@pytest.mark.parametrize("shear_mm", [0.0, 1.3])
def test_labels_come_back_through_a_finer_grid_unchanged(shear_mm):
    source = make_geometry(turn=OBLIQUE, shear_mm=shear_mm)
    labels = np.zeros(source.shape, np.uint8)
    labels[2:5, 6:12, 8:15] = 1
    labels[5:7, 3:5, 2:4] = 2
    fine = grid_with_spacing(source, (0.5, 0.3, 0.3))
    back = resample_labels(resample_labels(labels, source, fine), fine, source)
    assert back.dtype == np.uint8
    assert np.array_equal(back, labels)


def test_outside_is_filled_and_edge_voxels_reach_half_a_voxel_out():
    source = make_geometry(shape=(2, 2, 2), spacing=(1.0, 1.0, 1.0))
    wider = Geometry(
        affine=np.column_stack([source.affine[:, :3] * 0.4, source.to_lps((-0.8, 0, 0))]),
        shape=(3, 1, 1),
    )
    values = resample_to(
        np.full((2, 2, 2), 7, np.int16), source, wider, interpolation="linear", fill=-1
    )
    assert values.ravel().tolist() == [-1.0, 7.0, 7.0]


def test_spacing_must_be_positive():
    with pytest.raises(ValueError, match="not positive"):
        grid_with_spacing(make_geometry(), (0.0, 1.0, 1.0))
