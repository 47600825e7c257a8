"""Augmented samples keep image and mask together."""

import numpy as np
from factories_volumes import make_head

from node.training.augment import INTENSITY, crop_affine


def sample(seed: int, row: int = 80):
    image = make_head((1, 200, 190))[0].astype(np.float32) / 100 - 3
    mask = np.zeros(image.shape, np.float32)
    mask[row : row + 30, 90:130] = 1
    image[mask > 0] = 9
    return crop_affine(image, mask, rng=np.random.default_rng(seed), size=128, background=-3.0)


def test_mask_follows_the_image():
    for seed in range(20):
        image, mask = sample(seed)
        assert image.shape == mask.shape == (128, 128)
        bright = image > 6
        if bright.sum() > 50:
            overlap = 2 * (bright & (mask > 0)).sum() / (bright.sum() + mask.sum())
            assert overlap > 0.9


def test_some_crops_hold_no_lesion_and_most_do():
    held = [sample(seed, row=5)[1].any() for seed in range(80)]
    assert 0.6 < np.mean(held) < 0.95


def test_a_generator_decides_everything():
    first, second = sample(3), sample(3)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(sample(3)[0], sample(4)[0])


def test_intensity_transforms_keep_shape_and_stay_finite():
    image = sample(1)[0]
    for transform, probability in INTENSITY:
        changed = transform(image, np.random.default_rng(1))
        assert 0 < probability < 1
        assert changed.shape == image.shape
        assert np.isfinite(changed).all()
        assert not np.array_equal(changed, image)
