"""Resampling on a grid that neither mask nor crop moves."""

import numpy as np
import pytest
import SimpleITK as sitk
from factories_volumes import make_ball

from node.radiomics.grid import resample_region

SHAPE, SPACING_MM = (24, 60, 64), (2.5, 0.8, 0.8)


def make_voxels(shape=SHAPE, seed=5):
    return np.random.default_rng(seed).normal(size=shape) * 100


@pytest.fixture(scope="module")
def ball():
    return make_ball(SHAPE, (12, 30, 32), 11, SPACING_MM)


def resample(mask, spacing_mm=(1.0, 1.0, 1.0), margin=(5, 5, 5)):
    return resample_region(
        make_voxels(), mask, source_mm=SPACING_MM, spacing_mm=spacing_mm, margin=margin
    )


def test_the_volume_of_a_ball_stays(ball):
    image, mask = resample(ball)
    assert image.GetSpacing() == mask.GetSpacing() == (1.0, 1.0, 1.0)
    assert image.GetSize() == mask.GetSize()
    volume_mm3 = sitk.GetArrayFromImage(mask).sum()
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * 11**3, rel=0.03)


def test_centres_of_both_grids_are_one_point(ball):
    mask = np.ones(SHAPE, bool)
    image, _ = resample(mask)
    last = np.array(image.GetSize()) - 1
    centre = image.TransformContinuousIndexToPhysicalPoint((last / 2).tolist())
    assert centre == pytest.approx((np.array(SHAPE[::-1]) - 1) / 2 * SPACING_MM[::-1])


def test_the_cut_does_not_move_the_grid_or_change_intensities(ball):
    small, _ = resample(ball)
    large, _ = resample(np.ones(SHAPE, bool), margin=(0, 0, 0))
    offset = large.TransformPhysicalPointToContinuousIndex(small.GetOrigin())
    whole = np.round(offset).astype(int)
    assert offset == pytest.approx(whole, abs=1e-6)
    part = sitk.RegionOfInterest(large, small.GetSize(), whole.tolist())
    difference = sitk.GetArrayFromImage(part) - sitk.GetArrayFromImage(small)
    assert np.abs(difference).max() < 1e-3  # intensities have a deviation of 100


def test_spacing_zero_leaves_an_axis_alone(ball):
    image, mask = resample(ball, (0.0, 1.0, 1.0))
    assert image.GetSpacing() == (1.0, 1.0, SPACING_MM[0])
    slices = sitk.GetArrayFromImage(mask).any(axis=(1, 2)).sum()
    assert slices == ball.any(axis=(1, 2)).sum()


def test_nothing_is_interpolated_where_the_spacing_is_right(ball):
    image, mask = resample(ball, SPACING_MM, (100, 100, 100))
    assert np.array_equal(sitk.GetArrayFromImage(image), make_voxels())
    assert np.array_equal(sitk.GetArrayFromImage(mask), ball)


def test_the_margin_ends_where_the_image_does(ball):
    image, _ = resample(ball, margin=(1000, 4, 1000))
    x, y, z = image.GetSize()
    assert (x, z) == (np.ceil(64 * 0.8), 60)
    assert y < 35


@pytest.mark.parametrize("slices", [1, 2, 3, 4])
def test_few_slices_are_resampled_one_by_one(slices):
    """ITK's spline alone reads beyond the memory of a volume of two slices."""
    voxels, mask = make_voxels((slices, 30, 32)), np.ones((slices, 30, 32), bool)
    options = {"source_mm": SPACING_MM, "spacing_mm": (0.0, 1.0, 1.0), "margin": (2, 2, 2)}
    image, _ = resample_region(voxels, mask, **options)
    found = sitk.GetArrayFromImage(image)
    for k in range(slices):
        alone, _ = resample_region(voxels[k : k + 1], mask[k : k + 1], **options)
        assert np.allclose(found[k], sitk.GetArrayFromImage(alone)[0], atol=1e-6)


def test_two_slices_are_mirrored_at_their_ends():
    """As the same two, mirrored by hand, in a volume that is long enough for the spline."""
    pair, mask = make_voxels((2, 30, 32)), np.ones((2, 30, 32), bool)
    options = {"source_mm": SPACING_MM, "spacing_mm": (0.5, 1.0, 1.0), "margin": (0, 2, 2)}
    image, _ = resample_region(pair, mask, **options)
    middle = np.zeros((20, 30, 32), bool)
    middle[9:11] = True
    again, _ = resample_region(np.tile(pair[::-1], (10, 1, 1)), middle, **options)
    found, expected = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(again)
    offset = round((image.GetOrigin()[2] + 9 * SPACING_MM[0] - again.GetOrigin()[2]) / 0.5)
    assert np.allclose(found, expected[offset : offset + len(found)], atol=1e-6)
