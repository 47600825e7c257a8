"""DeLong's interval and test on the data of DeLong et al. 1988, against the published figures."""

import numpy as np
import pytest

from node.evaluation.delong import compare_auc_delong, measure_auc_delong

# 49 patients with ovarian cancer: albumin, total protein, K-G score, 1 if operated without
# benefit. Figures: SAS/STAT 14.1 User's Guide, LOGISTIC procedure, example 72.8.
ROWS = """
3.0 5.8 10 0   3.2 6.3  5 1   3.9 6.8  3 1   2.8 4.8  6 0
3.2 5.8  3 1   0.9 4.0  5 0   2.5 5.7  8 0   1.6 5.6  5 1
3.8 5.7  5 1   3.7 6.7  6 1   3.2 5.4  4 1   3.8 6.6  6 1
4.1 6.6  5 1   3.6 5.7  5 1   4.3 7.0  4 1   3.6 6.7  4 0
2.3 4.4  6 1   4.2 7.6  4 0   4.0 6.6  6 0   3.5 5.8  6 1
3.8 6.8  7 1   3.0 4.7  8 0   4.5 7.4  5 1   3.7 7.4  5 1
3.1 6.6  6 1   4.1 8.2  6 1   4.3 7.0  5 1   4.3 6.5  4 1
3.2 5.1  5 1   2.6 4.7  6 1   3.3 6.8  6 0   1.7 4.0  7 0
3.7 6.1  5 1   3.3 6.3  7 1   4.2 7.7  6 1   3.5 6.2  5 1
2.9 5.7  9 0   2.1 4.8  7 1   2.8 6.2  8 0   4.0 7.0  7 1
3.3 5.7  6 1   3.7 6.9  5 1   3.6 6.6  5 1
"""
DATA = np.array(ROWS.split(), float).reshape(-1, 4)
WITHOUT = DATA[:, 3] == 0
SCORES = {"albumin": -DATA[:, 0], "protein": -DATA[:, 1], "k-g": DATA[:, 2]}


@pytest.mark.parametrize(
    ("name", "auc", "error", "low", "high"),
    [
        ("albumin", 0.7366, 0.0927, 0.5549, 0.9182),
        ("k-g", 0.7258, 0.1028, 0.5243, 0.9273),
        ("protein", 0.6478, 0.1000, 0.4518, 0.8439),
    ],
)
def test_auc_and_interval(name, auc, error, low, high):
    found = measure_auc_delong(WITHOUT, SCORES[name])
    assert found.auc == pytest.approx(auc, abs=5e-5)
    assert found.standard_error == pytest.approx(error, abs=5e-5)
    assert found.interval_95 == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("name", "difference", "error", "p_value"),
    [("albumin", 0.0108, 0.0953, 0.9102), ("protein", -0.0780, 0.1046, 0.4561)],
)
def test_comparison_with_the_k_g_score(name, difference, error, p_value):
    found = compare_auc_delong(WITHOUT, SCORES[name], SCORES["k-g"])
    assert found.difference == pytest.approx(difference, abs=5e-5)
    assert found.standard_error == pytest.approx(error, abs=5e-5)
    assert found.p_value == pytest.approx(p_value, abs=1e-4)
