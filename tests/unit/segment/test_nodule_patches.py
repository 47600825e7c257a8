import numpy as np
import pytest
from factories_nodules import CENTRE, ball, ct_of

from node.segment.nodule_patches import (
    NoduleInputSpec,
    mirror_in_depth,
    prepare_mask,
    prepare_patches,
)

SPEC = NoduleInputSpec(spacing_mm=0.6, size=32, reach_mm=12.0)


@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"spacing_mm": (0.625, 0.5, 0.5), "shape": (65, 90, 90)},
        {"spacing_mm": (2.5, 0.9, 0.9)},
        {"tilt": 0.6},
        {"turned": True},
    ],
    ids=["usual", "fine", "coarse", "tilted", "turned"],
)
def test_mask_comes_back_to_its_own_voxels(grid):
    volume, mask = ct_of(ball(6.0), **grid)
    patches = prepare_patches(volume, CENTRE + np.array([1.0, -0.7, 0.4]), SPEC)
    planes = prepare_mask(mask, patches.placement)
    back = np.zeros(mask.shape)
    back[patches.placement.box] = patches.placement.restore(planes)
    back = back > 0.5
    dice = 2 * (back & mask).sum() / (back.sum() + mask.sum())
    assert dice > 0.95


@pytest.mark.parametrize("spacing_mm", [(0.625, 0.5, 0.5), (1.25, 0.9, 0.9), (2.0, 0.7, 0.6)])
def test_what_is_seen_depends_on_millimetres_only(spacing_mm):
    shape = tuple(int(36 / step) // 2 * 2 + 1 for step in spacing_mm)
    volume, _ = ct_of(ball(6.0), spacing_mm=spacing_mm, shape=shape)
    patches = prepare_patches(volume, CENTRE, SPEC)
    middle = patches.images[len(patches.images) // 2]
    # area of the ball through its middle, and 2 mm above it
    for channel, radius in ((1, 6.0), (0, np.sqrt(36 - 4)), (2, np.sqrt(36 - 4))):
        share = (middle[..., channel] - middle[..., channel].min()) / np.ptp(middle[..., channel])
        area = share.sum() * SPEC.spacing_mm**2
        assert area == pytest.approx(np.pi * radius**2, rel=0.12)


def test_window_is_scaled_and_clipped():
    volume, _ = ct_of(ball(6.0))
    images = prepare_patches(volume, CENTRE, SPEC).images
    lung = 2 * (-850 + 1000) / 1400 - 1
    soft = 2 * (30 + 1000) / 1400 - 1
    assert images.dtype == np.float32
    assert images[..., :3].min() == pytest.approx(lung)
    assert images[..., :3].max() == pytest.approx(soft)


def test_distance_is_that_from_the_point():
    volume, _ = ct_of(ball(6.0))
    patches = prepare_patches(volume, CENTRE + np.array([0.0, 0.0, 2.0]), SPEC)
    distance = patches.images[..., 3] * SPEC.distance_mm
    nearest = np.unravel_index(distance.argmin(), distance.shape)
    assert patches.placement.slices[nearest[0]] == 11
    assert distance[nearest] == pytest.approx(0.3 * np.sqrt(2), abs=1e-4)
    # three slices of 2 mm away
    assert distance[nearest[0] + 3].min() == pytest.approx(np.hypot(6, 0.3 * np.sqrt(2)), abs=1e-3)


def test_slices_within_reach_only():
    volume, _ = ct_of(ball(6.0))
    placement = prepare_patches(volume, CENTRE, SPEC).placement
    assert placement.slices.tolist() == list(range(4, 17))


def test_tilt_keeps_the_point_in_the_middle_along_the_normal():
    volume, _ = ct_of(ball(3.0), tilt=1.0)
    patches = prepare_patches(volume, CENTRE, SPEC)
    for image, k in zip(patches.images, patches.placement.slices, strict=True):
        bright = np.argwhere(image[..., 1] > -0.3)
        if len(bright):
            assert np.abs(bright.mean(axis=0) - 15.5).max() < 0.8, k


def test_a_corner_of_two_slices_continues_its_edge():
    volume, _ = ct_of(ball(3.0), shape=(2, 40, 40))
    corner = volume.geometry.to_lps([0, 0, 0])
    patches = prepare_patches(volume, corner, SPEC)
    assert patches.images.shape == (2, 32, 32, 4)
    assert np.isfinite(patches.images).all()
    np.testing.assert_allclose(patches.images[..., 1], 2 * 150 / 1400 - 1, atol=1e-6)


def test_wider_shows_a_mass_as_a_nodule():
    small, _ = ct_of(ball(4.0), spacing_mm=(1.0, 0.5, 0.5), shape=(41, 81, 81))
    large, _ = ct_of(ball(8.0), spacing_mm=(2.0, 1.0, 1.0), shape=(41, 81, 81))
    near = prepare_patches(small, CENTRE, SPEC)
    far = prepare_patches(large, CENTRE, SPEC.widen(2))
    np.testing.assert_allclose(far.images, near.images, atol=1e-5)


def test_mirrored_in_depth_is_what_the_mirrored_volume_shows():
    volume, _ = ct_of(ball(6.0, at=(0.0, 0.0, 3.0)))
    upside_down, _ = ct_of(ball(6.0, at=(0.0, 0.0, -3.0)))
    mirrored = mirror_in_depth(prepare_patches(volume, CENTRE, SPEC).images)[::-1]
    expected = prepare_patches(upside_down, CENTRE, SPEC).images
    np.testing.assert_allclose(mirrored, expected, atol=1e-5)
