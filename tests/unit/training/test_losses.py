"""Losses on masks and logits made by hand."""

import numpy as np
import pytest

from node.training.losses import dice_metric, make_loss
from node.training.recipe import LossRecipe

SQUARE = np.zeros((1, 16, 16, 1), np.float32)
SQUARE[:, 4:12, 4:12] = 1


def loss_of(logits, truth=SQUARE, **settings):
    return float(make_loss(LossRecipe(**settings))(truth, logits))


def as_logits(mask, height=12.0):
    return (2 * mask - 1) * height


def test_a_perfect_answer_costs_nothing_and_an_inverted_one_much():
    assert loss_of(as_logits(SQUARE)) < 0.01
    assert loss_of(as_logits(1 - SQUARE)) > 5


def test_tversky_makes_missed_pixels_dearer_than_false_ones():
    small, large = SQUARE.copy(), SQUARE.copy()
    small[:, 4:6] = 0
    large[:, 2:4, 4:12] = 1
    missed, false = (
        loss_of(as_logits(m), miss_weight=0.8, entropy_weight=0) for m in (small, large)
    )
    assert missed > 1.5 * false


def test_focal_entropy_forgives_what_is_nearly_right():
    logits = as_logits(SQUARE, height=1.0)
    assert loss_of(logits, focal_gamma=2.0) < 0.6 * loss_of(logits)


def test_the_boundary_weight_counts_near_the_outline_only():
    near, far = as_logits(SQUARE), as_logits(SQUARE)
    near[:, 3, 8] = 12.0
    far[:, 15, 15] = 12.0
    plain = [loss_of(x) for x in (near, far)]
    heavy = [loss_of(x, boundary_weight=3.0) for x in (near, far)]
    assert heavy[0] > 1.5 * plain[0]
    assert heavy[1] == pytest.approx(plain[1], rel=1e-3)


def test_answers_of_coarser_levels_count_less():
    right, wrong = as_logits(SQUARE), as_logits(1 - SQUARE)
    first_wrong = loss_of(np.concatenate([wrong, right], axis=-1))
    second_wrong = loss_of(np.concatenate([right, wrong], axis=-1))
    assert first_wrong == pytest.approx(2 * second_wrong, rel=0.01)


def test_the_metric_is_the_dice_of_the_first_channel():
    half = SQUARE.copy()
    half[:, 4:8] = 0
    logits = np.concatenate([as_logits(half), as_logits(SQUARE)], axis=-1)
    assert float(dice_metric(SQUARE, logits)) == pytest.approx(2 / 3, abs=1e-4)
    nothing = np.zeros_like(SQUARE)
    assert float(dice_metric(nothing, as_logits(nothing))) == pytest.approx(1)
