"""Segments come out on the voxels that they were written from."""

import numpy as np
import pytest
from factories_labels import write_seg
from factories_report import axes, make_series
from pydicom import dcmread

from node.domain.errors import InputRejected
from node.domain.geometry import Geometry
from node.volume.seg import (
    rasterise_segments,
    read_label_planes,
    read_segments,
    referenced_series_of_seg,
)


def two_masks(shape):
    first, second = np.zeros(shape, bool), np.zeros(shape, bool)
    first[1:3, 4:9, 5:13] = True
    first[2, 6, 7] = False
    second[3, 1:3, 15:18] = True
    return {"GTV": first, "Node": second}


@pytest.fixture(
    params=[
        {},
        {"rotation_deg": (20, -35, 10)},
        {"rotation_deg": (90, 0, 0)},
    ],
    ids=["axial", "oblique", "coronal"],
)
def series(request, tmp_path):
    return make_series(tmp_path / "images", axes(shape=(6, 20, 24), **request.param))


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segments_come_back_on_their_voxels(series, tmp_path, kind):
    masks = two_masks(series.volume.geometry.shape)
    written = (
        {"GTV": masks["GTV"], "Node": masks["Node"]}
        if kind != "FRACTIONAL"
        else {name: mask.astype(np.float32) * 0.8 for name, mask in masks.items()}
    )
    dataset = write_seg(tmp_path / "seg.dcm", series, written, kind=kind)
    geometry = series.volume.geometry
    assert [item.label for item in read_segments(dataset)][-2:] == ["GTV", "Node"]
    assert referenced_series_of_seg(dataset) == (series.volume.series_instance_uid,)
    np.testing.assert_array_equal(rasterise_segments(dataset, [1], geometry), masks["GTV"])
    np.testing.assert_array_equal(
        rasterise_segments(dataset, [1, 2], geometry), masks["GTV"] | masks["Node"]
    )


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_label_planes_hold_every_segment_where_it_lies(series, tmp_path, kind):
    masks = two_masks(series.volume.geometry.shape)
    write_seg(tmp_path / "seg.dcm", series, masks, kind=kind)
    planes = read_label_planes(tmp_path / "seg.dcm", series.volume.geometry)
    assert list(planes) == [1, 2, 3]
    for k, plane in planes.items():
        np.testing.assert_array_equal(plane == 1, masks["GTV"][k])
        np.testing.assert_array_equal(plane == 2, masks["Node"][k])


def test_frames_that_end_within_a_byte(tmp_path):
    """57 x 67 pixels fill 477 bytes and three bits."""
    series = make_series(tmp_path / "images", axes(shape=(6, 57, 67)))
    masks = two_masks((6, 57, 67))
    dataset = write_seg(tmp_path / "seg.dcm", series, masks)
    for number, mask in enumerate(masks.values(), start=1):
        found = rasterise_segments(dataset, [number], series.volume.geometry)
        np.testing.assert_array_equal(found, mask)


def test_less_than_half_of_a_fraction_does_not_count(series, tmp_path):
    share = two_masks(series.volume.geometry.shape)["GTV"].astype(np.float32) * 0.4
    dataset = write_seg(tmp_path / "seg.dcm", series, {"GTV": share}, kind="FRACTIONAL")
    assert not rasterise_segments(dataset, [1], series.volume.geometry).any()


def test_other_axes_over_the_same_voxels_are_followed(series, tmp_path):
    """Slices counted from the other end, rows and columns exchanged."""
    mask = two_masks(series.volume.geometry.shape)["GTV"]
    dataset = write_seg(tmp_path / "seg.dcm", series, {"GTV": mask})
    geometry = series.volume.geometry
    steps = geometry.affine
    turned = Geometry.from_axes(
        origin_mm=geometry.to_lps((5, 0, 0)),
        slice_step_mm=-steps[:, 0],
        row_step_mm=steps[:, 2],
        column_step_mm=steps[:, 1],
        shape=(6, 24, 20),
    )
    found = rasterise_segments(dataset, [1], turned)
    np.testing.assert_array_equal(found, mask[::-1].transpose(0, 2, 1))


def test_another_grid_is_refused(series, tmp_path):
    mask = two_masks(series.volume.geometry.shape)["GTV"]
    dataset = write_seg(tmp_path / "seg.dcm", series, {"GTV": mask})
    geometry = series.volume.geometry
    coarse = geometry.affine * [1, 2, 2, 1]
    shifted = geometry.affine.copy()
    shifted[:, 3] = geometry.to_lps((0, 0.5, 0))
    for affine in (coarse, shifted):
        with pytest.raises(InputRejected) as rejected:
            rasterise_segments(dataset, [1], Geometry(affine=affine, shape=geometry.shape))
        assert [problem.code for problem in rejected.value.problems] == ["different-grid"]


def test_pixels_beyond_the_images_are_refused(series, tmp_path):
    mask = two_masks(series.volume.geometry.shape)["Node"]
    dataset = write_seg(tmp_path / "seg.dcm", series, {"Node": mask})
    geometry = series.volume.geometry
    short = Geometry(affine=geometry.affine, shape=(3, 20, 24))
    with pytest.raises(InputRejected) as rejected:
        rasterise_segments(dataset, [1], short)
    assert [problem.code for problem in rejected.value.problems] == ["segment-outside"]
    assert "6 marked pixels" in str(rejected.value)


def test_tilted_stack(tmp_path):
    series = make_series(tmp_path / "images", axes(shape=(6, 20, 24), tilt_deg=12))
    mask = two_masks(series.volume.geometry.shape)["GTV"]
    write_seg(tmp_path / "seg.dcm", series, {"GTV": mask})
    dataset = dcmread(tmp_path / "seg.dcm")
    np.testing.assert_array_equal(rasterise_segments(dataset, [1], series.volume.geometry), mask)
