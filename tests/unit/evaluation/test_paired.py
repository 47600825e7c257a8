import numpy as np
import pytest
from scipy.stats import wilcoxon

from node.evaluation.paired import compare_paired, mean_by_patient


def test_patients_count_alike_however_many_cases_they_have():
    patients = np.array(["b", "a", "b", "b"])
    names, means = mean_by_patient(patients, np.array([0.0, 1.0, 0.5, 1.0]))
    assert names.tolist() == ["a", "b"]
    assert means.tolist() == [1.0, 0.5]


def test_comparison_is_over_patients():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(30).astype(str), 5)
    gain = np.repeat(rng.normal(0.05, 0.05, 30), 5)
    second = rng.uniform(0.4, 0.8, 150)
    found = compare_paired(patients, second + gain, second, rng=rng)
    one, two = (mean_by_patient(patients, v)[1] for v in (second + gain, second))
    assert found.patients == 30
    assert found.mean_difference == pytest.approx(found.first - found.second)
    assert found.p_value == pytest.approx(wilcoxon(one - two).pvalue)
    low, high = found.interval_95
    assert low < found.mean_difference < high
    error = np.std(one - two, ddof=1) / np.sqrt(30)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert found.better + found.worse == 30


def test_equal_models_differ_by_nothing():
    values = np.random.default_rng(1).random(6)
    found = compare_paired(np.array(list("aabbcc")), values, values, rng=np.random.default_rng(2))
    assert (found.mean_difference, found.p_value, found.interval_95) == (0.0, 1.0, (0.0, 0.0))
    assert (found.better, found.worse) == (0, 0)


def test_undefined_figures_are_refused():
    with pytest.raises(ValueError, match="finite"):
        compare_paired(
            np.array(["a"]), np.array([np.nan]), np.array([1.0]), rng=np.random.default_rng(0)
        )
