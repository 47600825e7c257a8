"""Calibration, abstention, importance and probabilities: figures whose values are known."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from node.evaluation.abstention import measure_abstention
from node.evaluation.calibration import (
    measure_brier,
    measure_calibration_error,
    measure_reliability,
)
from node.evaluation.discrimination import measure_auc
from node.evaluation.importance import group_alike, measure_importance
from node.evaluation.probability_figures import (
    FIGURES,
    bootstrap_figures,
    find_interval,
    measure_probabilities,
)

RNG = np.random.default_rng(8)
TRUTH = RNG.random(400) < 0.4
SCORE = np.clip(0.4 * TRUTH + 0.3 + 0.2 * RNG.normal(size=400), 0.01, 0.99)
BOTH = np.array([False, True])


def two(probability):
    return np.column_stack([1 - probability, probability])


def test_figures_of_two_classes_are_those_of_scikit_learn():
    found = dict(zip(FIGURES, measure_probabilities(TRUTH, two(SCORE), BOTH), strict=True))
    called = SCORE > 0.5
    assert found["auc"] == pytest.approx(roc_auc_score(TRUTH, SCORE))
    assert found["brier"] == pytest.approx(brier_score_loss(TRUTH, SCORE))
    assert found["accuracy"] == (called == TRUTH).mean()
    assert found["sensitivity"] == called[TRUTH].mean()
    assert found["specificity"] == (~called[~TRUTH]).mean()


def test_ties_count_half():
    assert measure_auc(np.array([False, True]), np.array([0.3, 0.3]), BOTH) == 0.5
    rounded = SCORE.round(1)
    assert measure_auc(TRUTH, rounded, BOTH) == pytest.approx(roc_auc_score(TRUTH, rounded))
    assert np.isnan(measure_auc(np.array([True, True]), np.array([0.1, 0.2]), BOTH))


def test_figures_of_three_classes_are_means_over_them():
    labels = np.array(["a", "a", "b", "b", "c", "c"])
    sure = np.eye(3)[[0, 0, 1, 1, 2, 1]]
    found = dict(
        zip(FIGURES, measure_probabilities(labels, sure, np.array(["a", "b", "c"])), strict=True)
    )
    assert found["sensitivity"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert found["specificity"] == pytest.approx((1 + 0.75 + 1) / 3)
    assert found["brier"] == pytest.approx(1 / 6)


def test_bootstrap_draws_are_the_same_for_two_classifiers():
    patients = np.arange(400) // 4
    first = bootstrap_figures(TRUTH, two(SCORE), BOTH, patients, seed=3, draws=40)
    again = bootstrap_figures(TRUTH, two(SCORE), BOTH, patients, seed=3, draws=40)
    assert np.array_equal(first, again)
    low, high = find_interval(first[:, 0])
    assert low < roc_auc_score(TRUTH, SCORE) < high
    assert np.isnan(find_interval(np.array([np.nan]))).all()


def test_honest_probabilities_lie_on_the_diagonal_and_boasting_ones_do_not():
    rng = np.random.default_rng(2)
    probability = rng.random(4000)
    truth = rng.random(4000) < probability
    patients = np.arange(4000)
    honest = measure_reliability(truth, probability, patients, rng=rng)
    assert sum(one.count for one in honest) == 4000
    assert measure_calibration_error(honest) < 0.03
    boasting = measure_reliability(truth, (probability > 0.5) * 0.98 + 0.01, patients, rng=rng)
    assert measure_calibration_error(boasting) > 0.2
    assert all(one.interval[0] <= one.observed <= one.interval[1] for one in honest)


def test_brier_of_many_classes_is_half_the_sum():
    truth = np.array([[True, False, False]])
    assert measure_brier(truth, np.array([[0.5, 0.25, 0.25]])) == pytest.approx(
        (0.25 + 0.0625 + 0.0625) / 2
    )


def test_abstaining_where_it_is_wrong_pays():
    truth = np.array([True, True, False, False, True])
    probability = np.array([0.9, 0.8, 0.1, 0.55, 0.45])
    reasons = np.array(["", "", "", "too close: 0.55", "too close: 0.45"])
    found = measure_abstention(
        truth, probability, reasons, np.arange(5), rng=np.random.default_rng(1)
    )
    assert found.coverage.value == pytest.approx(0.6)
    assert found.error_where_decided.value == 0
    assert found.error_where_abstained.value == 1
    assert found.error_if_always_decided.value == pytest.approx(0.4)
    assert found.reasons == {"too close": 2}
    never = measure_abstention(
        truth, probability, np.full(5, ""), np.arange(5), rng=np.random.default_rng(1)
    )
    assert np.isnan(never.error_where_abstained.value)


def test_alike_features_are_shuffled_together_and_noise_loses_nothing():
    rng = np.random.default_rng(6)
    signal = rng.normal(size=300)
    values = np.column_stack([signal, signal + 0.01 * rng.normal(size=300), rng.normal(size=300)])
    labels = signal > 0
    groups = group_alike(values, (0, 1, 2))
    assert groups == [(0, 1), (2,)]

    def predict(rows):
        return rows[:, 0] + rows[:, 1]

    found = measure_importance(predict, values, labels, "abc", groups, rng=rng, repeats=10)
    assert [one.features for one in found] == [("a", "b"), ("c",)]
    assert found[0].loss == pytest.approx(0.5, abs=0.08)
    assert found[1].loss == 0
    alone = measure_importance(predict, values, labels, "abc", [(0,)], rng=rng, repeats=10)
    assert alone[0].loss < 0.7 * found[0].loss
    assert group_alike(values, (2,)) == [(2,)]
