"""ICC(1,1) on tables whose reliability is known."""

import numpy as np
import pytest

from node.evaluation.icc import measure_reliability


def make_table(icc: float, *, cases: int, repeats: int, seed: int) -> np.ndarray:
    """Draw a table whose variance between cases is the share ``icc`` of the whole."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, np.sqrt(icc), (cases, 1))
    return truth + rng.normal(0, np.sqrt(1 - icc), (cases, repeats))


def test_the_estimate_finds_the_share_of_variance():
    found = measure_reliability(make_table(0.8, cases=4000, repeats=5, seed=1))
    assert found.icc == pytest.approx(0.8, abs=0.01)
    assert found.low < found.icc < found.high
    assert found.high - found.low < 0.03


def test_the_interval_covers_the_truth_as_often_as_it_says():
    found = [measure_reliability(make_table(0.75, cases=20, repeats=4, seed=s)) for s in range(400)]
    covered = np.mean([one.low <= 0.75 <= one.high for one in found])
    assert 0.92 <= covered <= 0.98
    assert np.mean([one.high < 0.75 for one in found]) < 0.05
    assert np.mean([one.low > 0.75 for one in found]) < 0.05


def test_unit_and_offset_change_nothing():
    table = make_table(0.6, cases=30, repeats=3, seed=2)
    plain, moved = measure_reliability(table), measure_reliability(3e9 * table + 7e12)
    assert (moved.icc, moved.low) == pytest.approx((plain.icc, plain.low), abs=1e-6)


def test_a_bias_of_one_column_counts_as_error():
    table = np.repeat(np.arange(10.0)[:, None], 4, axis=1)
    assert measure_reliability(table).icc == 1
    table[:, 0] += 5
    assert measure_reliability(table).icc < 0.7


def test_incomplete_cases_are_left_out():
    table = make_table(0.9, cases=30, repeats=3, seed=3)
    expected = measure_reliability(table[2:])
    table[0, 1], table[1, 2] = np.nan, np.inf
    assert measure_reliability(table) == expected
    assert expected.cases == 28


@pytest.mark.parametrize(
    "table",
    [
        np.full((5, 3), 7.0),
        np.full((5, 3), 7.0) + 1e-12 * np.arange(15).reshape(5, 3),
        np.full((5, 3), np.nan),
        np.array([[1.0, 2.0], [np.nan, 2.0]]),
    ],
    ids=["constant", "rounding", "undefined", "one case"],
)
def test_where_nothing_tells_cases_apart_there_is_no_value(table):
    found = measure_reliability(table)
    assert np.isnan([found.icc, found.low, found.high]).all()
