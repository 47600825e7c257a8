"""Outlines become masks voxel by voxel, or are refused; never a part of them."""

import numpy as np
import pytest
from factories_labels import square, write_rtstruct
from factories_report import axes, make_series

from node.domain.errors import InputRejected
from node.volume.rtstruct import Outline, rasterise_outline, read_outlines, referenced_series


def outline(*contours):
    return Outline(number=1, name="GTV", frame_of_reference_uid="", contours=contours)


def codes_of(rejected):
    return [problem.code for problem in rejected.value.problems]


@pytest.mark.parametrize(
    "geometry",
    [
        axes(shape=(5, 30, 40)),
        axes(shape=(5, 30, 40), rotation_deg=(20, -35, 10)),
        axes(shape=(5, 30, 40), tilt_deg=15),
    ],
    ids=["axial", "oblique", "tilted"],
)
def test_squares_fill_the_pixels_they_enclose(geometry):
    mask = rasterise_outline(
        outline(square(geometry, 1, (4, 9), (5, 20)), square(geometry, 2, (0, 29), (0, 39))),
        geometry,
    )
    expected = np.zeros((5, 30, 40), bool)
    expected[1, 4:10, 5:21] = expected[2] = True
    np.testing.assert_array_equal(mask, expected)


def test_inner_contour_is_a_hole_and_a_repeated_one_is_none():
    geometry = axes(shape=(3, 30, 30))
    outer, inner = square(geometry, 1, (5, 20), (5, 20)), square(geometry, 1, (10, 12), (10, 12))
    assert rasterise_outline(outline(outer, inner), geometry).sum() == 16 * 16 - 9
    assert rasterise_outline(outline(outer, outer), geometry).sum() == 16 * 16


def test_two_parts_in_one_plane_are_both_filled():
    geometry = axes(shape=(3, 30, 30))
    parts = square(geometry, 1, (2, 5), (2, 5)), square(geometry, 1, (20, 22), (20, 22))
    assert rasterise_outline(outline(*parts), geometry).sum() == 16 + 9


def test_contours_between_slices_are_refused():
    geometry = axes(shape=(5, 30, 30))
    with pytest.raises(InputRejected) as rejected:
        rasterise_outline(outline(square(geometry, 1.5, (4, 9), (5, 20))), geometry)
    assert codes_of(rejected) == ["outline-off-plane"]


def test_leaning_contours_are_refused():
    geometry = axes(shape=(5, 30, 30))
    leaning = geometry.to_lps([(1, 5, 5), (1, 5, 20), (2, 20, 20), (2, 20, 5)])
    with pytest.raises(InputRejected) as rejected:
        rasterise_outline(outline(leaning), geometry)
    assert codes_of(rejected) == ["outline-off-plane"]


@pytest.mark.parametrize(("k", "rows"), [(-1, (4, 9)), (5, (4, 9)), (2, (25, 40)), (2, (-6, 9))])
def test_contours_beyond_the_images_are_refused(k, rows):
    geometry = axes(shape=(5, 30, 30))
    inside = square(geometry, 2, (4, 9), (5, 20))
    with pytest.raises(InputRejected) as rejected:
        rasterise_outline(outline(inside, square(geometry, k, rows, (5, 20))), geometry)
    assert codes_of(rejected) == ["outline-outside"]
    assert "1 of 2" in str(rejected.value)


def test_outlines_on_every_other_slice_are_refused():
    geometry = axes(shape=(9, 30, 30))
    contours = [square(geometry, k, (4, 9), (5, 20)) for k in (0, 2, 4, 6)]
    with pytest.raises(InputRejected) as rejected:
        rasterise_outline(outline(*contours), geometry)
    assert codes_of(rejected) == ["outline-skips-slices"]


def test_names_references_and_contours_are_read(tmp_path):
    geometry = axes(shape=(4, 20, 20))
    series = make_series(tmp_path / "images", geometry)
    contours = [square(geometry, 1, (4, 9), (5, 12))]
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"GTV-1": contours, "Lung": []})
    first, second = read_outlines(dataset)
    assert (first.name, first.number, len(first.contours)) == ("GTV-1", 1, 1)
    assert (second.name, second.contours) == ("Lung", ())
    assert first.frame_of_reference_uid == series.volume.frame_of_reference_uid
    assert referenced_series(dataset) == (series.volume.series_instance_uid,)
    mask = rasterise_outline(first, series.volume.geometry)
    assert mask.sum() == 6 * 8


def test_points_enclose_nothing(tmp_path):
    series = make_series(tmp_path / "images", axes(shape=(4, 20, 20)))
    contours = [square(series.volume.geometry, 1, (4, 9), (5, 12))]
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"P": contours}, kind="POINT")
    (region,) = read_outlines(dataset)
    assert region.contours == ()
    assert region.unfilled == 1


def test_damaged_contour_data_are_refused(tmp_path):
    series = make_series(tmp_path / "images", axes(shape=(4, 20, 20)))
    contours = [square(series.volume.geometry, 1, (4, 9), (5, 12))]
    dataset = write_rtstruct(tmp_path / "rt.dcm", series, {"P": contours})
    item = dataset.ROIContourSequence[0].ContourSequence[0]
    item.ContourData = list(item.ContourData)[:-1]
    with pytest.raises(InputRejected) as rejected:
        read_outlines(dataset)
    assert codes_of(rejected) == ["damaged-contour"]
