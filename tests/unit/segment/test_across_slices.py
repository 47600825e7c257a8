"""Probability smoothed across slices."""

import numpy as np

from node.segment.across_slices import smooth_across_slices


def test_a_gap_between_marked_slices_is_filled_and_a_lone_mark_falls():
    probability = np.zeros((9, 20, 4), np.float16)
    probability[1:5, 3] = 1.0
    probability[3, 3] = 0.4
    probability[7, 17] = 0.6
    smooth = smooth_across_slices(probability, 0.5)
    assert smooth.dtype == np.float16
    assert (smooth[3, 3] > 0.5).all()
    assert (smooth[7, 17] < 0.5).all()
    assert (smooth[:, 10] == 0).all()


def test_a_constant_stays_and_the_last_slice_does_not_fade():
    probability = np.full((3, 2, 2), 0.8, np.float16)
    np.testing.assert_allclose(smooth_across_slices(probability, 1.0), 0.8, atol=1e-3)


def test_nothing_to_smooth_gives_the_same_array():
    stack, single = np.ones((4, 2, 2), np.float16), np.ones((1, 2, 2), np.float16)
    assert smooth_across_slices(stack, 0.0) is stack
    assert smooth_across_slices(single, 1.0) is single
