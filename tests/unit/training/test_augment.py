"""Augmented samples keep image and mask together, and every transform does what it says."""

from functools import partial

import numpy as np
import pytest
from factories_volumes import make_head
from pydantic import ValidationError

from node.training.augment import AugmentRecipe, Chance, augment, crop_affine
from node.training.augment.bias_field import add_bias_field
from node.training.augment.blur import blur
from node.training.augment.contrast import change_contrast
from node.training.augment.elastic import draw_displacement
from node.training.augment.gamma import change_gamma
from node.training.augment.low_resolution import lower_resolution
from node.training.augment.missing_channel import drop_channel
from node.training.augment.noise import add_noise
from node.training.augment.sharpen import sharpen
from node.training.augment.shift import shift_intensity

NEVER = Chance(probability=0, strength=0)
INTENSITY = {
    "gamma": change_gamma,
    "contrast": change_contrast,
    "shift": shift_intensity,
    "bias_field": add_bias_field,
    "blur": blur,
    "sharpen": sharpen,
    "noise": add_noise,
    "low_resolution": lower_resolution,
}
STILL = AugmentRecipe(
    crop=64,
    lesion_share=0,
    spread=0,
    angle_deg=0,
    scale=0,
    flip_left_right=0,
    flip_up_down=0,
    elastic=NEVER,
    **dict.fromkeys(INTENSITY, NEVER),
)


def marked_head(row: int = 80):
    image = make_head((1, 200, 190))[0].astype(np.float32) / 100 - 3
    mask = np.zeros(image.shape, np.float32)
    mask[row : row + 30, 90:130] = 1
    image[mask > 0] = 9
    return image[..., None], mask


def textured(channels: int = 1):
    rng = np.random.default_rng(7)
    image = rng.normal(0, 1, (96, 96, channels)).astype(np.float32)
    image[:20] = -3
    return image


def sample(seed: int, row: int = 80, settings: AugmentRecipe | None = None):
    image, mask = marked_head(row)
    return crop_affine(
        image,
        mask,
        rng=np.random.default_rng(seed),
        size=128,
        background=-3.0,
        settings=settings or AugmentRecipe(),
    )


@pytest.mark.parametrize("elastic", [0.0, 1.0])
def test_mask_follows_the_image(elastic):
    settings = AugmentRecipe(elastic=Chance(probability=elastic, strength=8))
    for seed in range(20):
        image, mask = sample(seed, settings=settings)
        assert image.shape == (128, 128, 1)
        assert mask.shape == (128, 128)
        assert set(np.unique(mask)) <= {0.0, 1.0}
        bright = image[..., 0] > 6
        if bright.sum() > 50:
            overlap = 2 * (bright & (mask > 0)).sum() / (bright.sum() + mask.sum())
            assert overlap > 0.9


def test_some_crops_hold_no_lesion_and_most_do():
    held = [sample(seed, row=5)[1].any() for seed in range(80)]
    assert 0.6 < np.mean(held) < 0.95


def test_a_generator_decides_everything():
    image, mask = marked_head()
    draw = partial(augment, image, mask, settings=AugmentRecipe(crop=128))
    first, second = (draw(rng=np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], draw(rng=np.random.default_rng(4))[0])


def test_without_any_transform_the_middle_comes_out_as_it_was():
    image, mask = textured(), np.zeros((96, 96), np.float32)
    mask[40:60, 30:50] = 1
    out, out_mask = augment(
        image, mask, rng=np.random.default_rng(0), settings=STILL, limits=(-9, 9)
    )
    np.testing.assert_allclose(out, image[16:80, 16:80], atol=1e-5)
    np.testing.assert_array_equal(out_mask, mask[16:80, 16:80])


def test_window_on_the_lesion_without_jitter_is_centred_on_it():
    settings = STILL.model_copy(update={"lesion_share": 1.0, "jitter": 0.0, "pull": 0.0})
    image, mask = textured(), np.zeros((96, 96), np.float32)
    mask[5:12, 70:81] = 1
    _, out = augment(image, mask, rng=np.random.default_rng(0), settings=settings)
    assert np.argwhere(out > 0).mean(axis=0) == pytest.approx([31.5, 31.5], abs=0.51)


def test_flips_mirror_image_and_mask():
    settings = STILL.model_copy(update={"flip_left_right": 1.0, "crop": 96})
    image, mask = textured(), np.zeros((96, 96), np.float32)
    mask[10:20, 5:30] = 1
    out, out_mask = augment(
        image, mask, rng=np.random.default_rng(0), settings=settings, limits=(-9, 9)
    )
    np.testing.assert_allclose(out, image[:, ::-1], atol=1e-5)
    np.testing.assert_array_equal(out_mask, mask[:, ::-1])


def test_displacement_is_smooth_and_never_folds():
    for seed in range(20):
        field = draw_displacement(96, np.random.default_rng(seed), strength=20)
        (dyy, dyx), (dxy, dxx) = (np.gradient(component) for component in field)
        assert ((1 + dyy) * (1 + dxx) - dyx * dxy).min() > 0
    assert np.abs(field).max() > 2


@pytest.mark.parametrize("name", INTENSITY)
def test_intensity_transforms_change_each_channel_by_its_own_draw(name):
    image = np.repeat(textured(), 2, axis=-1)
    before = image.copy()
    chance = getattr(AugmentRecipe(), name)
    changed = INTENSITY[name](image, np.random.default_rng(1), strength=chance.strength)
    assert 0 < chance.probability < 1
    assert changed.shape == image.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert not np.allclose(changed[..., 0], image[..., 0])
    assert not np.allclose(changed[..., 0], changed[..., 1])
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("name", sorted(set(INTENSITY) - {"blur", "sharpen", "low_resolution"}))
def test_strength_0_changes_nothing(name):
    image = textured()
    changed = INTENSITY[name](image, np.random.default_rng(1), strength=0.0)
    np.testing.assert_allclose(changed, image, atol=1e-5)


def test_blur_and_low_resolution_smooth_and_sharpening_does_not():
    image = textured()[24:]
    rough = image.std()
    assert blur(image, np.random.default_rng(0)).std() < 0.8 * rough
    assert lower_resolution(image, np.random.default_rng(0)).std() < 0.8 * rough
    assert sharpen(image, np.random.default_rng(0)).std() > 1.02 * rough


def test_rician_noise_lifts_the_background_and_gaussian_noise_does_not():
    image = np.full((128, 128, 1), -3, np.float32)
    image[64:] = 3
    lifted = add_noise(image, np.random.default_rng(5), strength=0.4, rician_share=1.0)
    level = add_noise(image, np.random.default_rng(5), strength=0.4, rician_share=0.0)
    assert lifted[:64].min() >= -3
    assert lifted[:64].mean() > -2.95
    assert level[:64].mean() == pytest.approx(-3, abs=0.02)
    assert lifted[64:].mean() == pytest.approx(3, abs=0.05)


def test_dropped_channel_is_a_copy_or_background_and_never_the_kept_one():
    image = textured(3)
    kinds = set()
    for seed in range(60):
        out = drop_channel(image, np.random.default_rng(seed), kept_channel=2, background=-3.0)
        np.testing.assert_array_equal(out[..., 2], image[..., 2])
        (gone,) = [c for c in range(3) if not np.array_equal(out[..., c], image[..., c])]
        if (out[..., gone] == -3).all():
            kinds.add((gone, "background"))
        else:
            copied = [
                c for c in range(3) if c != gone and np.array_equal(out[..., gone], image[..., c])
            ]
            kinds.add((gone, f"copy of {copied[0]}"))
    assert len(kinds) == 6


def test_a_distance_channel_takes_part_in_the_geometry_alone():
    image = textured(2)
    image[..., 1] = np.linspace(10, 90, 96)[:, None]
    settings = AugmentRecipe(
        crop=64,
        intensity_channels=1,
        missing_channel=1.0,
        angle_deg=0,
        elastic=NEVER,
        noise=Chance(probability=1, strength=0.4),
    )
    mask = np.zeros((96, 96), np.float32)
    out, _ = augment(image, mask, rng=np.random.default_rng(2), settings=settings)
    assert out.shape == (64, 64, 2)
    assert out[..., 0].max() <= 6
    assert 10 <= out[..., 1].min() < out[..., 1].max() <= 90.001
    assert np.ptp(out[..., 1], axis=1) == pytest.approx(0, abs=1e-4)


def test_samples_lie_within_the_limits():
    image, mask = marked_head()
    for seed in range(10):
        out, _ = augment(
            image, mask, rng=np.random.default_rng(seed), settings=AugmentRecipe(crop=64)
        )
        assert out.min() >= -3
        assert out.max() <= 6


def test_a_wrong_setting_is_refused():
    with pytest.raises(ValidationError):
        AugmentRecipe.model_validate({"gama": {"probability": 0.5, "strength": 0.2}})
    with pytest.raises(ValidationError):
        Chance(probability=1.5, strength=0)
