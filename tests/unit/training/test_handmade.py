"""Hand-made features of bodies whose measures are known."""

import numpy as np
import pytest

from node.training.datasets.labelled import make_volume
from node.training.handmade import HANDMADE, measure_handmade


def measure(image, mask, spacing_mm=(1.0, 1.0, 1.0), modality="CT") -> dict[str, float]:
    volume = make_volume(image.astype(np.float32), "x", spacing_mm=spacing_mm, modality=modality)
    return dict(zip(HANDMADE, measure_handmade(volume, mask), strict=True))


def make_box(shape, *sides: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def test_a_box_in_space():
    mask = make_box((20, 20, 20), (5, 9), (5, 13), (5, 7))
    image = np.where(mask, 60.0, 10.0)
    found = measure(image, mask, (2.0, 1.0, 3.0))
    assert found["log_size"] == pytest.approx(np.log(8 * 8 * 6))
    assert found["surface_to_size"] == pytest.approx(2 * (64 + 48 + 48) / (8 * 8 * 6))
    assert found["extent_in_box"] == pytest.approx(1)
    assert found["axis_ratio_least"] == pytest.approx(6 / 8, rel=1e-6)
    assert found["mean"] == 60
    assert found["deviation"] == 0
    assert found["contrast_to_rim"] == pytest.approx(50)
    assert found["rim_deviation"] == 0
    assert found["border_gradient"] > 0


def test_a_slice_is_measured_in_its_plane():
    mask = make_box((1, 30, 30), (0, 1), (5, 11), (5, 20))
    found = measure(np.where(mask, 5.0, 1.0), mask, (6.0, 0.5, 0.5))
    assert found["log_size"] == pytest.approx(np.log(3 * 7.5))
    assert found["surface_to_size"] == pytest.approx(2 * (3 + 7.5) / (3 * 7.5))
    assert found["compactness"] == pytest.approx(2 * np.sqrt(np.pi * 22.5) / 21)
    assert found["axis_ratio_middle"] == pytest.approx(3 / 7.5, rel=1e-6)


def test_the_scale_of_mr_does_not_matter_but_that_of_ct_does():
    rng = np.random.default_rng(1)
    mask = make_box((1, 40, 40), (0, 1), (10, 20), (10, 20))
    image = rng.uniform(50, 100, size=(1, 40, 40)) + 40 * mask
    mr = [measure(image * gain, mask, modality="MR") for gain in (1, 7)]
    assert mr[0]["contrast_to_rim"] == pytest.approx(mr[1]["contrast_to_rim"], rel=1e-4)
    ct = [measure(image * gain, mask) for gain in (1, 7)]
    assert ct[1]["contrast_to_rim"] == pytest.approx(7 * ct[0]["contrast_to_rim"], rel=1e-4)


def test_an_empty_mask_has_no_features():
    found = measure(np.ones((3, 8, 8)), np.zeros((3, 8, 8), bool))
    assert np.isnan(list(found.values())).all()


def test_one_voxel_is_measured_without_trouble():
    mask = make_box((3, 8, 8), (1, 2), (4, 5), (4, 5))
    found = measure(np.arange(192.0).reshape(3, 8, 8), mask)
    assert found["log_size"] == 0
    assert np.isfinite(list(found.values())).all()
