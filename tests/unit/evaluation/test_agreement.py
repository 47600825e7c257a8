import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from node.evaluation.agreement import measure_kappa


def test_kappa_is_that_of_scikit_learn_for_words_and_numbers():
    rng = np.random.default_rng(1)
    first = rng.choice(["glioma", "meningioma", "pituitary"], 80)
    second = np.where(rng.random(80) < 0.6, first, rng.choice(["glioma", "pituitary"], 80))
    assert measure_kappa(first, second).kappa == pytest.approx(cohen_kappa_score(first, second))


def test_standard_error_is_the_spread_of_repeated_samples():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        first = rng.integers(0, 2, 150)
        found.append(measure_kappa(first, np.where(rng.random(150) < 0.8, first, 1 - first)))
    spread = np.std([one.kappa for one in found])
    assert np.mean([one.standard_error for one in found]) == pytest.approx(spread, rel=0.1)


def test_full_agreement_and_no_variation():
    classes = np.array([0, 1, 1, 0])
    assert measure_kappa(classes, classes).interval_95 == (1.0, 1.0)
    assert np.isnan(measure_kappa(np.zeros(4), np.zeros(4)).kappa)
    with pytest.raises(ValueError, match="no samples"):
        measure_kappa(np.array([]), np.array([]))
