import numpy as np
import pytest

from node.evaluation.degrade import (
    add_gaussian_noise,
    add_rician_noise,
    blur_in_plane,
    coarsen_in_plane,
    degradations_for,
    measure_tissue_deviation,
    thicken_slices,
)

SPACING_MM = (3.0, 0.5, 0.5)


@pytest.fixture
def head():
    rng = np.random.default_rng(0)
    voxels = np.zeros((8, 96, 96), np.float32)
    voxels[:, 16:80, 16:80] = rng.normal(100, 20, (8, 64, 64))
    return voxels


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_the_first_level_changes_nothing_and_the_grid_stays(head, modality):
    for degradation in degradations_for(modality):
        rng = np.random.default_rng(1)
        same = degradation.apply(head, SPACING_MM, degradation.levels[0], rng)
        np.testing.assert_allclose(same, head, atol=1e-4, err_msg=degradation.name)
        for level in degradation.levels[1:]:
            worse = degradation.apply(head, SPACING_MM, level, rng)
            assert worse.shape == head.shape
            assert not np.allclose(worse, head)


def test_tissue_deviation_leaves_the_air_out(head):
    assert measure_tissue_deviation(head) == pytest.approx(20, rel=0.05)
    assert measure_tissue_deviation(head - 1000) == pytest.approx(20, rel=0.05)


def test_rician_noise_lifts_the_air_and_gaussian_does_not(head):
    rng = np.random.default_rng(2)
    air = head == 0
    rician = add_rician_noise(head, SPACING_MM, 0.5, rng)[air]
    assert rician.min() >= 0
    # A Rayleigh distribution of sigma 10 has the mean sigma sqrt(pi / 2).
    assert rician.mean() == pytest.approx(10 * np.sqrt(np.pi / 2), rel=0.05)
    gaussian = add_gaussian_noise(head, SPACING_MM, 0.5, rng)
    assert abs(gaussian[air].mean()) < 0.5
    assert (gaussian - head).std() == pytest.approx(10, rel=0.05)


def test_blur_has_its_width_in_millimetres():
    point = np.zeros((1, 81, 81), np.float32)
    point[0, 40, 40] = 1
    profile = blur_in_plane(point, (5.0, 0.5, 1.0), 8.0, np.random.default_rng(0))[0]
    for line, spacing_mm in ((profile[:, 40], 0.5), (profile[40], 1.0)):
        half = np.interp(0.5, line[40:][::-1] / line.max(), np.arange(41)[::-1] * spacing_mm)
        assert 2 * half == pytest.approx(8.0, rel=0.05)


def test_coarse_pixels_keep_the_mean_and_blocks_of_their_size():
    rng = np.random.default_rng(3)
    fine = rng.normal(size=(2, 60, 60)).astype(np.float32)
    coarse = coarsen_in_plane(fine, SPACING_MM, 2.5, rng)
    # 5 x 5 pixels become one: at its centre stands their mean.
    expected = fine.reshape(2, 12, 5, 12, 5).mean(axis=(2, 4))
    np.testing.assert_allclose(coarse[:, 2::5, 2::5], expected, atol=1e-5)
    assert coarsen_in_plane(fine, SPACING_MM, 0.4, rng) is None


def test_thick_slices_are_means_and_a_single_slice_has_none():
    rng = np.random.default_rng(4)
    thin = rng.normal(size=(9, 4, 4)).astype(np.float32)
    thick = thicken_slices(thin, SPACING_MM, 3, rng)
    np.testing.assert_allclose(thick[1::3], thin.reshape(3, 3, 4, 4).mean(axis=1), atol=1e-5)
    assert thicken_slices(thin[:1], SPACING_MM, 2, rng) is None
