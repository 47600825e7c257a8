import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from node.evaluation.delong import compare_auc_delong, measure_auc_delong


def brute_force(truth, scores):
    """Placements as DeLong wrote them down, one pair at a time."""
    positive, negative = scores[:, truth], scores[:, ~truth]
    kernel = (positive[:, :, None] > negative[:, None, :]) + 0.5 * (
        positive[:, :, None] == negative[:, None, :]
    )
    over, under = kernel.mean(axis=2), kernel.mean(axis=1)
    covariance = np.cov(over) / over.shape[1] + np.cov(under) / under.shape[1]
    return kernel.mean(axis=(1, 2)), covariance


def draw(rng, n=60, decimals=1):
    truth = rng.random(n) < 0.4
    truth[:2] = [True, False]
    scores = (rng.normal(size=(2, n)) + truth * np.array([[1.0], [0.4]])).round(decimals)
    return truth, scores


@pytest.mark.parametrize("seed", range(5))
def test_fast_computation_equals_the_definition_with_ties(seed):
    truth, scores = draw(np.random.default_rng(seed))
    aucs, covariance = brute_force(truth, scores)
    for row in (0, 1):
        found = measure_auc_delong(truth, scores[row])
        assert found.auc == pytest.approx(aucs[row])
        assert found.auc == pytest.approx(roc_auc_score(truth, scores[row]))
        assert found.standard_error == pytest.approx(np.sqrt(covariance[row, row]))
    both = compare_auc_delong(truth, *scores)
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert both.standard_error == pytest.approx(np.sqrt(expected))
    assert both.difference == pytest.approx(aucs[0] - aucs[1])


def test_interval_holds_the_true_auc_as_often_as_it_says():
    rng = np.random.default_rng(7)
    truth = np.arange(120) < 60
    # Two normals one standard deviation apart: AUC = Phi(1 / sqrt 2).
    expected = 0.7602
    inside = 0
    for _ in range(400):
        low, high = measure_auc_delong(truth, rng.normal(size=120) + truth).interval_95
        inside += low <= expected <= high
    assert 0.91 <= inside / 400 <= 0.98


def test_perfect_scores_have_no_spread_and_equal_scores_no_difference():
    truth = np.array([False, False, True, True])
    perfect = measure_auc_delong(truth, np.arange(4.0))
    assert (perfect.auc, perfect.interval_95) == (1.0, (1.0, 1.0))
    assert compare_auc_delong(truth, np.arange(4.0), np.arange(4.0)).p_value == 1.0


def test_one_class_and_nan_are_refused():
    with pytest.raises(ValueError, match="needs both"):
        measure_auc_delong(np.ones(3, bool), np.arange(3.0))
    with pytest.raises(ValueError, match="finite"):
        measure_auc_delong(np.array([True, False]), np.array([0.5, np.nan]))
