"""Volumes of several roles on one grid: without loss where they share it, honest where not."""

from dataclasses import replace

import numpy as np
import pytest
from factories_volumes import make_geometry, make_head, make_volume

from node.domain.errors import InputRejected
from node.domain.geometry import Geometry
from node.volume.resample_channels import resample_channel

REFERENCE = make_volume(make_head((6, 80, 90)))


def moved(millimetres: tuple[float, float, float], shape=(6, 80, 90)) -> Geometry:
    affine = make_geometry(shape).affine.copy()
    affine[:, 3] += millimetres
    return Geometry(affine=affine, shape=shape)


def code_of(volume) -> str:
    with pytest.raises(InputRejected) as rejected:
        resample_channel(volume, REFERENCE)
    (problem,) = rejected.value.problems
    assert problem.uid == volume.series_instance_uid
    return problem.code


def test_one_grid_keeps_every_voxel_and_its_type() -> None:
    volume = replace(make_volume(make_head((6, 80, 90), seed=2)), geometry=moved((0, 0.005, 0)))
    channel = resample_channel(volume, REFERENCE)
    assert channel.covered == 1.0
    assert channel.volume.voxels.dtype == np.int16
    assert np.array_equal(channel.volume.voxels, volume.voxels)
    assert channel.volume.geometry is REFERENCE.geometry
    assert channel.volume.source_uids == volume.source_uids


def test_a_ramp_in_the_patient_stays_a_ramp() -> None:
    """Linear interpolation is exact for it, on a finer grid that starts elsewhere."""
    source = Geometry.from_axes(
        origin_mm=(-80, -90, -20), slice_step_mm=(0, 0.3, 3), row_step_mm=(0, 1.5, 0),
        column_step_mm=(1.5, 0, 0), shape=(30, 110, 120),
    )  # fmt: skip
    x, y, z = np.moveaxis(source.to_lps(np.moveaxis(np.indices(source.shape), 0, -1)), -1, 0)
    volume = make_volume((2 * x - y + 3 * z).astype(np.float32), source)
    channel = resample_channel(volume, REFERENCE)
    indices = np.moveaxis(np.indices(REFERENCE.voxels.shape), 0, -1)
    x, y, z = np.moveaxis(REFERENCE.geometry.to_lps(indices), -1, 0)
    assert np.allclose(channel.volume.voxels, 2 * x - y + 3 * z, atol=1e-3)
    assert channel.covered == 1.0
    assert channel.volume.source_uids == REFERENCE.source_uids


def test_what_the_other_series_does_not_show_is_dark_and_counted() -> None:
    voxels = make_head((6, 80, 90), seed=2) + 50
    volume = replace(make_volume(voxels), geometry=moved((0, 0, 10)))
    channel = resample_channel(volume, REFERENCE)
    assert channel.covered == pytest.approx(4 / 6, abs=0.01)
    assert (channel.volume.voxels[:2] == voxels.min()).all()
    assert np.allclose(channel.volume.voxels[2:], voxels[:4], atol=1e-3)


def test_another_piece_of_the_patient_is_refused() -> None:
    assert code_of(replace(REFERENCE, geometry=moved((0, 0, 500)))) == "no-overlap"


def test_another_frame_of_reference_is_refused() -> None:
    assert code_of(replace(REFERENCE, frame_of_reference_uid="9.9")) == "other-frame-of-reference"
    resample_channel(replace(REFERENCE, frame_of_reference_uid=""), REFERENCE)
