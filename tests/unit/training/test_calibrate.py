"""Probabilities that mean what they say, and how the way is chosen."""

import numpy as np
import pytest

from node.training.calibrate import calibrate, find_logit_slope


class Decision:
    """A fitted classifier whose decision value is the first feature."""

    classes_ = np.array([False, True])
    _estimator_type = "classifier"

    def fit(self, values, labels):
        return self

    def decision_function(self, values):
        return values[:, 0]

    def predict(self, values):
        return values[:, 0] > 0

    def __sklearn_tags__(self):
        from sklearn.base import BaseEstimator, ClassifierMixin

        class Tagged(ClassifierMixin, BaseEstimator):
            pass

        return Tagged().__sklearn_tags__()

    def __sklearn_is_fitted__(self):
        return True


def draw(curve, count: int = 600, seed: int = 2):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-4, 4, size=(count, 1))
    return values, rng.random(count) < curve(values[:, 0]), np.arange(count) // 3


def sigmoid(x):
    return 1 / (1 + np.exp(-2 * x))


def steps(x):
    """A curve that no sigmoid follows."""
    return np.where(x < -2, 0.05, np.where(x < 2, 0.5, 0.95))


def test_a_sigmoid_truth_is_found_again():
    values, labels, patients = draw(sigmoid)
    calibration = calibrate(Decision(), values, labels, patients, method="choose", seed=1)
    assert calibration.method == "sigmoid"
    assert set(calibration.brier) == {"sigmoid", "isotonic"}
    grid = np.array([[-1.0], [0.0], [1.0]])
    assert calibration.estimator.predict_proba(grid)[:, 1] == pytest.approx(
        sigmoid(grid[:, 0]), abs=0.08
    )
    assert find_logit_slope(Decision(), values, labels) == pytest.approx(2, rel=0.25)


def test_isotonic_wins_where_a_sigmoid_cannot_follow_and_cases_are_many():
    values, labels, patients = draw(steps, 3000)
    chosen = calibrate(Decision(), values, labels, patients, method="choose", seed=1)
    assert chosen.method == "isotonic"
    assert chosen.brier["isotonic"] < chosen.brier["sigmoid"]


def test_few_patients_are_calibrated_by_a_sigmoid():
    values, labels, _ = draw(steps, 40)
    patients = np.where(labels, "a", "b")
    calibration = calibrate(Decision(), values, labels, patients, method="choose", seed=1)
    assert calibration.method == "sigmoid"
    assert calibration.brier == {}


def test_probabilities_of_the_record_come_from_other_patients():
    values, labels, patients = draw(sigmoid, 60)
    calibration = calibrate(Decision(), values, labels, patients, method="sigmoid", seed=1)
    own = calibration.estimator.predict_proba(values)
    assert calibration.probability.shape == own.shape
    assert not np.allclose(calibration.probability, own)
    assert calibration.probability == pytest.approx(own, abs=0.2)
