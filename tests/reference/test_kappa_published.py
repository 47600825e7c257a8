"""Cohen's kappa and its standard error against published tables."""

import numpy as np
import pytest

from node.evaluation.agreement import measure_kappa


def columns(table):
    first, second = [], []
    for i, row in enumerate(table):
        for j, count in enumerate(row):
            first += [i] * count
            second += [j] * count
    return np.array(first), np.array(second)


def test_two_dermatologists():
    # SAS/STAT 14.1 User's Guide, FREQ procedure, example of agreement: 88 skin conditions.
    table = [[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]]
    found = measure_kappa(*columns(table))
    assert found.kappa == pytest.approx(0.3449, abs=5e-5)
    assert found.standard_error == pytest.approx(0.0724, abs=5e-5)
    assert found.interval_95 == pytest.approx((0.2030, 0.4868), abs=1e-4)
