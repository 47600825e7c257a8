"""Intraclass correlation of repeated measurements.

References
----------
Shrout, Fleiss, Psychological Bulletin 86(2), 1979, doi:10.1037/0033-2909.86.2.420.
McGraw, Wong, Psychological Methods 1(1), 1996, doi:10.1037/1082-989X.1.1.30.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution

#: A spread below this share of the mean is rounding, not a difference between cases.
ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class MeanSquares:
    """Mean squares of a table of ``n`` cases (rows) measured ``k`` times (columns).

    Parameters
    ----------
    between : float
        Between cases (BMS), n - 1 degrees of freedom.
    within : float
        Within cases (WMS), n (k - 1) degrees of freedom.
    judges : float
        Between judges (JMS), k - 1 degrees of freedom.
    residual : float
        What is left (EMS), (n - 1) (k - 1) degrees of freedom.
    """

    between: float
    within: float
    judges: float
    residual: float


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """ICC(1,1) with its confidence interval; NaN where it is undefined.

    Parameters
    ----------
    icc, low, high : float
    cases : int
        Cases that were measured completely and enter the figure.
    """

    icc: float
    low: float
    high: float
    cases: int


def analyse_variance(table: NDArray[np.float64]) -> MeanSquares:
    """Split the variance of a table (n, k) without gaps.

    Raises
    ------
    ValueError
        If there are fewer than two cases or two repeats.
    """
    n, k = table.shape
    if n < 2 or k < 2:
        raise ValueError(f"{n} cases and {k} repeats, expected at least 2 of each")
    grand, rows, columns = table.mean(), table.mean(axis=1), table.mean(axis=0)
    judges = n * float(((columns - grand) ** 2).sum())
    within = float(((table - rows[:, None]) ** 2).sum())
    residual = float(((table - rows[:, None] - columns + grand) ** 2).sum())
    return MeanSquares(
        between=k * float(((rows - grand) ** 2).sum()) / (n - 1),
        within=within / (n * (k - 1)),
        judges=judges / (k - 1),
        residual=residual / ((n - 1) * (k - 1)),
    )


def icc_one_way(squares: MeanSquares, *, repeats: int) -> float:
    """ICC(1,1): every case has its own judges (McGraw and Wong: ICC(1))."""
    between, within = squares.between, squares.within
    return (between - within) / (between + (repeats - 1) * within)


def icc_agreement(squares: MeanSquares, *, cases: int, repeats: int) -> float:
    """ICC(2,1): one set of random judges, absolute agreement (ICC(A,1))."""
    between, residual = squares.between, squares.residual
    bias = repeats * (squares.judges - residual) / cases
    return (between - residual) / (between + (repeats - 1) * residual + bias)


def icc_consistency(squares: MeanSquares, *, repeats: int) -> float:
    """ICC(3,1): these judges and no others, consistency (ICC(C,1))."""
    between, residual = squares.between, squares.residual
    return (between - residual) / (between + (repeats - 1) * residual)


def measure_reliability(table: NDArray[np.float64], *, confidence: float = 0.95) -> Reliability:
    """ICC(1,1) with its two-sided confidence interval.

    The form is the one-way random one: each case is perturbed by draws of its own, so the first
    repeat of one case has nothing in common with the first repeat of another, and a column of
    the table is no judge. It is the form of Zwanenburg et al. 2019 too.

    Parameters
    ----------
    table : ndarray of float64, shape (cases, repeats)
        Cases with a value that is not finite are left out.
    confidence : float

    Returns
    -------
    Reliability
        NaN with fewer than two complete cases, and where all values are alike: nothing tells the
        cases apart then.
    """
    undefined = float("nan")
    complete = table[np.isfinite(table).all(axis=1)]
    n, k = complete.shape
    if n < 2 or np.ptp(complete) <= ROUNDING * float(np.abs(complete).max()):
        return Reliability(icc=undefined, low=undefined, high=undefined, cases=n)
    # Feature values reach 1e12; squares of them must not lose the small differences.
    scaled = (complete - complete.mean()) / np.ptp(complete)
    squares = analyse_variance(scaled)
    if squares.within == 0:
        return Reliability(icc=1.0, low=1.0, high=1.0, cases=n)
    ratio, tail = squares.between / squares.within, (1 + confidence) / 2
    lowest = ratio / float(f_distribution.ppf(tail, n - 1, n * (k - 1)))
    highest = ratio * float(f_distribution.ppf(tail, n * (k - 1), n - 1))
    return Reliability(
        icc=icc_one_way(squares, repeats=k),
        low=(lowest - 1) / (lowest + k - 1),
        high=(highest - 1) / (highest + k - 1),
        cases=n,
    )
