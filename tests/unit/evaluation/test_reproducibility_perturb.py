"""Perturbations do to image and mask what they say."""

import numpy as np
import pytest
from scipy import ndimage

from node.evaluation.contours import change_volume, keep_largest, randomise_contour
from node.evaluation.grain import draw_grain, estimate_grain
from node.evaluation.overlap import measure_dice
from node.evaluation.perturb import Perturbation, perturb

OFF = {
    "rotation_deg": 0.0,
    "translation_pixels": 0.0,
    "noise": 0.0,
    "volume_fraction": 0.0,
    "contour": False,
}


def make_ellipsoid(
    shape=(12, 60, 60), spacing_mm=(3.0, 1.0, 1.0), radii_mm=(10.0, 16.0, 8.0)
) -> np.ndarray:
    grid = np.indices(shape).T - (np.array(shape) - 1) / 2
    return (np.sum((grid * spacing_mm / radii_mm) ** 2, axis=-1) <= 1).T


def make_image(mask: np.ndarray, *, deviation: float = 2.0) -> np.ndarray:
    """A smooth lesion of 150 on 100, with noise."""
    rng = np.random.default_rng(7)
    soft = ndimage.gaussian_filter(mask.astype(float), (0.0, 1.0, 1.0))
    return 100 + 50 * soft + rng.normal(0, deviation, mask.shape)


def test_noise_is_estimated_and_drawn_at_its_level():
    rng = np.random.default_rng(1)
    ramp = np.add.outer(np.linspace(0, 300, 128), np.linspace(0, 100, 128))
    levels = estimate_grain(ramp + rng.normal(0, 5, (4, 128, 128)))
    assert levels == pytest.approx((5, 5), rel=0.1)
    drawn = draw_grain((4, 101, 127), levels, rng)
    assert drawn.shape == (4, 101, 127)
    assert drawn.std() == pytest.approx(5, rel=0.1)


def test_noise_of_an_interpolated_image_keeps_its_grain():
    rng = np.random.default_rng(2)
    coarse = ndimage.zoom(rng.normal(0, 5, (4, 64, 64)), (1, 2, 2), order=3)
    levels = estimate_grain(coarse)
    assert levels[0] < 0.5 * levels[1]
    again = estimate_grain(draw_grain((4, 256, 256), levels, rng))
    assert again == pytest.approx(levels, rel=0.1)


@pytest.mark.parametrize("fraction", [-0.3, -0.1, 0.1, 0.3])
@pytest.mark.parametrize("planar", [False, True])
def test_volume_changes_by_the_fraction_along_the_surface(fraction, planar):
    mask, spacing_mm = make_ellipsoid(), (3.0, 1.0, 1.0)
    if planar:
        mask, spacing_mm = mask[6], spacing_mm[1:]
    changed = change_volume(mask, fraction, spacing_mm=spacing_mm, rng=np.random.default_rng(3))
    assert changed.sum() == round(mask.sum() * (1 + fraction))
    inner, outer = (mask, changed) if fraction > 0 else (changed, mask)
    assert not (inner & ~outer).any()


def test_a_drawn_contour_follows_the_edge_of_the_image():
    """Where the image shows an edge, drawn contours keep to it; where it shows none, they stray."""
    spacing_mm = (0.25, 0.25)
    truth = make_ellipsoid((1, 240, 240), (3.0, *spacing_mm))[0]
    noise = np.random.default_rng(5).normal(0, 1, truth.shape)

    def draw(image):
        rng = np.random.default_rng(4)
        return [randomise_contour(image, truth, spacing_mm=spacing_mm, rng=rng) for _ in range(6)]

    edge, blank = draw(50.0 * truth + noise), draw(noise)
    agreement = [np.mean([measure_dice(one, truth) for one in drawn]) for drawn in (edge, blank)]
    assert agreement[0] > 0.85
    assert 0.8 < agreement[1] < agreement[0] - 0.02
    assert len({one.tobytes() for one in blank}) == 6
    assert all(ndimage.label(one, np.ones((3, 3)))[1] == 1 for one in edge + blank)


@pytest.mark.parametrize("voxels", [1, 4, 30])
def test_a_lesion_of_few_voxels_never_vanishes(voxels):
    mask = np.zeros(9 * 40 * 40, bool)
    mask[np.argsort(np.sum((np.indices((9, 40, 40)).T - 5.0) ** 2, -1).T, axis=None)[:voxels]] = 1
    mask = mask.reshape(9, 40, 40)
    image = make_image(mask)
    for seed in range(8):
        version = perturb(
            image,
            mask,
            spacing_mm=(2.5, 0.7, 0.7),
            perturbation=Perturbation(),
            rng=np.random.default_rng(seed),
        )
        assert version.mask.any()
        assert version.moved_mask.any()


def test_a_lesion_at_the_first_slice_keeps_its_voxels_there():
    mask = make_ellipsoid()[6:]
    image, rng = make_image(mask), np.random.default_rng(5)
    drawn = [randomise_contour(image, mask, spacing_mm=(3.0, 1.0, 1.0), rng=rng) for _ in range(6)]
    assert np.mean([one[0].sum() for one in drawn]) > 0.7 * mask[0].sum()


def test_only_the_largest_piece_is_kept():
    mask = np.zeros((1, 10, 10), bool)
    mask[0, :2, :2] = mask[0, 5:8, 5:8] = True
    kept = keep_largest(mask)
    assert kept.sum() == 9
    assert kept[0, 5:8, 5:8].all()


@pytest.mark.parametrize("spacing_mm", [(3.0, 1.0, 1.0), (5.0, 0.5, 1.5)])
@pytest.mark.parametrize("slices", [slice(None), slice(6, 7)], ids=["volume", "slice"])
def test_image_and_mask_move_together_and_rigidly(spacing_mm, slices):
    mask = make_ellipsoid(spacing_mm=spacing_mm)[slices]
    image = 100.0 * mask
    for seed in range(4):
        version = perturb(
            image,
            mask,
            spacing_mm=spacing_mm,
            perturbation=Perturbation(**OFF | {"rotation_deg": 30.0, "translation_pixels": 0.5}),
            rng=np.random.default_rng(seed),
        )
        assert measure_dice(version.voxels > 50, version.mask) > 0.97
        assert version.mask.sum() == pytest.approx(mask.sum(), rel=0.06)
        assert measure_dice(version.mask, mask) < 1
        before, after = (np.argwhere(m).mean(axis=0) for m in (mask, version.mask))
        assert np.abs((after - before) * spacing_mm).max() < 0.5 * min(spacing_mm[1:]) + 0.15


def test_a_rotation_turns_by_the_angle_that_was_drawn():
    spacing_mm = (1.0, 0.5, 1.0)
    mask = make_ellipsoid((1, 120, 60), spacing_mm, (10.0, 20.0, 6.0))
    version = perturb(
        mask * 1.0,
        mask,
        spacing_mm=spacing_mm,
        perturbation=Perturbation(**OFF | {"rotation_deg": 25.0}),
        rng=np.random.default_rng(1),
    )
    drawn_deg = np.random.default_rng(1).uniform(-1, 1) * 25.0

    def long_axis_deg(plane):
        points = np.argwhere(plane) * spacing_mm[1:]
        vector = np.linalg.eigh(np.cov(points.T))[1][:, 1]
        return np.rad2deg(np.arctan2(vector[1], vector[0]))

    turned = long_axis_deg(version.mask[0]) - long_axis_deg(mask[0])
    assert abs((turned + 90) % 180 - 90) == pytest.approx(abs(drawn_deg), abs=0.7)


def test_without_any_step_nothing_changes():
    mask = make_ellipsoid()
    image = make_image(mask)
    version = perturb(
        image,
        mask,
        spacing_mm=(3.0, 1.0, 1.0),
        perturbation=Perturbation(**OFF),
        rng=np.random.default_rng(1),
    )
    np.testing.assert_array_equal(version.voxels, image.astype(np.float32))
    np.testing.assert_array_equal(version.mask, mask)


def test_noise_alone_leaves_the_mask_and_doubles_the_variance():
    mask = make_ellipsoid()
    image = make_image(mask, deviation=4.0)
    version = perturb(
        image,
        mask,
        spacing_mm=(3.0, 1.0, 1.0),
        perturbation=Perturbation(**OFF | {"noise": 1.0}),
        rng=np.random.default_rng(1),
    )
    np.testing.assert_array_equal(version.mask, mask)
    assert (version.voxels - image).std() == pytest.approx(4.0, rel=0.15)


def test_the_same_seed_draws_the_same_version():
    mask = make_ellipsoid()
    image = make_image(mask)

    def draw(seed):
        return perturb(
            image,
            mask,
            spacing_mm=(3.0, 1.0, 1.0),
            perturbation=Perturbation(),
            rng=np.random.default_rng(seed),
        )

    first, second, other = draw(1), draw(1), draw(2)
    np.testing.assert_array_equal(first.voxels, second.voxels)
    np.testing.assert_array_equal(first.mask, second.mask)
    assert (first.voxels != other.voxels).any()
    assert 0.75 < measure_dice(first.mask, first.moved_mask) < 1


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        perturb(
            np.zeros((1, 9, 9)),
            np.zeros((1, 9, 9), bool),
            spacing_mm=(1.0, 1.0, 1.0),
            perturbation=Perturbation(),
            rng=np.random.default_rng(1),
        )
