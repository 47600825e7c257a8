"""From probabilities to measured lesions."""

import numpy as np
import pytest
from factories_volumes import make_ball, make_geometry, make_volume

from node.segment.lesions import LesionSpec, find_lesions

SPACING_MM = (2.0, 1.0, 1.0)
SHAPE = (20, 60, 64)


def probability_of(*balls: np.ndarray, value: float = 0.9) -> np.ndarray:
    return np.maximum.reduce([ball * value for ball in balls]).astype(np.float16)


def find(probability: np.ndarray, **settings: float):
    volume = make_volume(np.zeros(SHAPE, np.int16), make_geometry(SHAPE, SPACING_MM))
    return find_lesions(volume, probability, LesionSpec(**settings), model_digest="m")


def test_lesions_are_separate_largest_first_and_in_their_place():
    small = make_ball(SHAPE, (5, 15, 15), 5, SPACING_MM)
    large = make_ball(SHAPE, (13, 40, 45), 9, SPACING_MM)
    found = find(probability_of(small, large))
    assert [lesion.number for lesion in found.lesions] == [1, 2]
    assert np.array_equal(found.labels == 1, large)
    assert np.array_equal(found.labels == 2, small)
    assert found.lesions[0].largest_slice == 13
    expected = found.geometry.to_lps((13, 40, 45))
    assert found.lesions[0].centroid_lps_mm == pytest.approx(tuple(expected), abs=0.2)


def test_a_ball_is_measured_as_a_ball():
    ball = make_ball(SHAPE, (10, 30, 32), 12, SPACING_MM)
    (lesion,) = find(probability_of(ball)).lesions
    assert lesion.volume_ml == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.03)
    assert lesion.volume_ml == pytest.approx(ball.sum() * 2 / 1000)
    assert lesion.long_axis_mm == pytest.approx(24, abs=1.2)
    assert lesion.short_axis_mm == pytest.approx(24, abs=1.2)
    assert lesion.maximum_3d_diameter_mm == pytest.approx(24, abs=max(SPACING_MM) + 0.05)
    assert lesion.mean_probability == pytest.approx(0.9, abs=0.001)


def test_diagonal_neighbours_are_one_lesion():
    probability = np.zeros(SHAPE, np.float16)
    probability[4, 10:16, 10:16] = 0.9
    probability[5, 16:22, 16:22] = 0.9
    assert len(find(probability).lesions) == 1


def test_faint_and_tiny_marks_are_no_lesions():
    faint = probability_of(make_ball(SHAPE, (10, 30, 32), 9, SPACING_MM), value=0.6)
    assert find(faint, minimum_peak=0.7).lesions == ()
    tiny = probability_of(make_ball(SHAPE, (10, 30, 32), 1, SPACING_MM))
    assert find(tiny, minimum_area_mm2=15).lesions == ()
    assert len(find(tiny, minimum_area_mm2=1).lesions) == 1


def test_nothing_gives_no_lesion():
    found = find(np.zeros(SHAPE, np.float16))
    assert found.lesions == ()
    assert not found.labels.any()


def test_tracking_uid_depends_on_place_and_model_only():
    ball = probability_of(make_ball(SHAPE, (10, 30, 32), 9, SPACING_MM))
    again = find(ball).lesions[0].tracking_uid
    assert find(ball).lesions[0].tracking_uid == again
    assert find(np.roll(ball, 3, axis=2)).lesions[0].tracking_uid != again
    volume = make_volume(np.zeros(SHAPE, np.int16), make_geometry(SHAPE, SPACING_MM))
    other = find_lesions(volume, ball, LesionSpec(), model_digest="n").lesions[0]
    assert other.tracking_uid != again
