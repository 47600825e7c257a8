"""Two models on the same patients: who is better, by how much, and could it be chance."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from node.evaluation.discrimination import bootstrap_interval


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """A figure of two models over the same patients.

    Parameters
    ----------
    patients : int
    first, second : float
        Mean over patients of each model's figure.
    mean_difference : float
        First less second.
    interval_95 : tuple of float
        By bootstrap over patients.
    p_value : float
        Wilcoxon signed-rank test over patients, two-sided; 1 where no patient differs.
    better, worse : int
        Patients in whom the first model has the higher and the lower figure.
    """

    patients: int
    first: float
    second: float
    mean_difference: float
    interval_95: tuple[float, float]
    p_value: float
    better: int
    worse: int


def mean_by_patient(
    patients: NDArray[Any], values: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the patients in order, and each one's mean over their cases."""
    names, inverse = np.unique(patients, return_inverse=True)
    sums = np.bincount(inverse, weights=np.asarray(values, float), minlength=len(names))
    return names, sums / np.bincount(inverse, minlength=len(names))


def compare_paired(
    patients: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    *,
    rng: np.random.Generator,
    draws: int = 2000,
) -> PairedComparison:
    """Compare two models on the same cases; cases are averaged within each patient first.

    Parameters
    ----------
    patients : ndarray, shape (n,)
        Patient of each case.
    first, second : ndarray of float, shape (n,)
        Figure of each case, e.g. Dice.
    rng : numpy.random.Generator
    draws : int

    Raises
    ------
    ValueError
        If there are no cases, or a figure is not finite.

    References
    ----------
    Wilcoxon, Biometrics Bulletin 1(6), 1945, doi:10.2307/3001968.
    """
    if not len(patients) or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("a paired comparison needs a finite figure of both models for each case")
    names, one = mean_by_patient(patients, first)
    _, two = mean_by_patient(patients, second)
    # Differences that are rounding errors of the means would count as ranks.
    difference = np.round(one - two, 12)
    low, high = bootstrap_interval(
        names, lambda drawn: float(difference[drawn].mean()), rng=rng, draws=draws
    )
    return PairedComparison(
        patients=len(names),
        first=float(one.mean()),
        second=float(two.mean()),
        mean_difference=float(difference.mean()),
        interval_95=(low, high),
        p_value=float(wilcoxon(difference).pvalue) if difference.any() else 1.0,
        better=int((difference > 0).sum()),
        worse=int((difference < 0).sum()),
    )
