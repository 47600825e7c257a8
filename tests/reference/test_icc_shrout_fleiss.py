"""The worked example of Shrout and Fleiss 1979: six targets, rated by four judges (table 2).

References
----------
Psychological Bulletin 86(2), 1979, doi:10.1037/0033-2909.86.2.420: mean squares in table 3,
coefficients in table 4.
"""

import numpy as np
import pytest

from node.evaluation.icc import (
    analyse_variance,
    icc_agreement,
    icc_consistency,
    icc_one_way,
    measure_reliability,
)

RATINGS = np.array(
    [
        [9, 2, 5, 8],
        [6, 1, 3, 2],
        [8, 4, 6, 8],
        [7, 1, 2, 6],
        [10, 5, 6, 9],
        [6, 2, 4, 7],
    ],
    float,
)


def test_mean_squares():
    squares = analyse_variance(RATINGS)
    found = (squares.between, squares.within, squares.judges, squares.residual)
    assert [round(value, 2) for value in found] == [11.24, 6.26, 32.49, 1.02]


def test_coefficients():
    squares = analyse_variance(RATINGS)
    assert round(icc_one_way(squares, repeats=4), 2) == 0.17
    assert round(icc_agreement(squares, cases=6, repeats=4), 2) == 0.29
    assert round(icc_consistency(squares, repeats=4), 2) == 0.71


def test_interval_of_the_one_way_form():
    """As R prints it for the same table (irr::icc, psych::ICC): 0.166, from -0.133 to 0.723."""
    found = measure_reliability(RATINGS)
    assert (found.icc, found.low, found.high) == pytest.approx((0.166, -0.133, 0.723), abs=6e-4)
    assert found.cases == 6
