"""Drift of features: against scipy, a worked example, and cases that must not raise an alarm."""

import numpy as np
import pytest
from scipy.stats import entropy, ks_2samp

from node.evaluation.drift import LARGE, measure_drift, measure_stability


def test_stability_is_the_symmetric_divergence_of_the_shares():
    reference = np.repeat(np.arange(4.0), 250)
    current = np.repeat(np.arange(4.0), (100, 200, 300, 400))
    found = measure_stability(reference, current, bins=4)
    expected, actual = np.full(4, 0.25), np.array([0.1, 0.2, 0.3, 0.4])
    truth = entropy(actual, expected) + entropy(expected, actual)
    assert truth == pytest.approx(0.2282, abs=1e-4)
    assert found.index == pytest.approx(truth, abs=0.002)  # half a case is added to each bin


def test_chance_limit_covers_what_has_not_changed():
    rng = np.random.default_rng(5)
    beyond = 0
    for _ in range(200):
        found = measure_stability(rng.normal(size=300), rng.normal(size=60))
        beyond += found.index > found.chance
    assert 1 <= beyond <= 20  # 5 % of 200, and its scatter


def test_drift_of_few_cases_is_told_from_chance():
    rng = np.random.default_rng(6)
    reference = rng.normal(size=(400, 3))
    current = rng.normal(size=(40, 3))
    current[:, 1] = 3 * current[:, 1] + 2
    current[:5, 2] = np.nan
    first, *others = measure_drift(("a", "b", "c"), reference, current)
    assert first.name == "b"
    assert first.has_drifted
    assert first.stability.index > LARGE
    assert not any(other.has_drifted for other in others)
    assert {other.name: other.count for other in others} == {"a": 40, "c": 35}


def test_distance_is_the_two_sample_statistic():
    rng = np.random.default_rng(7)
    reference, current = rng.normal(size=(50, 2)), rng.gamma(2, size=(30, 2))
    found = {drift.name: drift for drift in measure_drift(("x", "y"), reference, current)}
    tests = [ks_2samp(reference[:, place], current[:, place]) for place in (0, 1)]
    assert found["x"].distance == pytest.approx(tests[0].statistic)
    assert found["y"].distance == pytest.approx(tests[1].statistic)
    assert found["x"].p_value >= tests[0].pvalue


def test_features_without_values_are_left_out():
    nothing = np.full((20, 1), np.nan)
    assert measure_drift(("a",), np.zeros((20, 1)), nothing) == ()
    with pytest.raises(ValueError, match="no cases"):
        measure_stability(np.zeros(3), np.zeros(0))


@pytest.mark.parametrize(("before", "now"), [(5.0, 7.0), (5.0, 3.0), (0.0, 1.0)])
def test_a_constant_that_becomes_another_is_seen(before, now):
    stability = measure_stability(np.full(30, before), np.full(25, now))
    assert stability.index > max(LARGE, stability.chance)


def test_a_rare_value_that_becomes_frequent_is_seen():
    before, now = np.repeat([0.0, 1.0], [95, 5]), np.repeat([0.0, 1.0], [20, 80])
    stability = measure_stability(before, now)
    assert stability.index > max(LARGE, stability.chance)
    same = measure_stability(before, before)
    assert same.index == pytest.approx(0)
