"""AUC with its variance after DeLong, and the comparison of two AUCs on the same patients.

DeLong's variance takes samples for independent: give one score for each patient. For slices of
the same patients use the bootstrap over patients.

References
----------
DeLong, DeLong, Clarke-Pearson, Biometrics 44(3), 1988, doi:10.2307/2531595.
Fast computation by mid-ranks: Sun, Xu, IEEE Signal Process Lett 21(11), 2014,
doi:10.1109/LSP.2014.2337313.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata


@dataclass(frozen=True, kw_only=True)
class DeLongAuc:
    """An AUC with its standard error and 95 % interval, cut at 0 and 1.

    At an AUC of exactly 1 (or 0) the standard error is 0 and the interval says nothing.
    """

    auc: float
    standard_error: float
    interval_95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class DeLongComparison:
    """Difference of two AUCs on the same samples, first less second.

    Parameters
    ----------
    difference, standard_error : float
    interval_95 : tuple of float
    p_value : float
        Two-sided; 1 where the scores rank alike.
    """

    difference: float
    standard_error: float
    interval_95: tuple[float, float]
    p_value: float


def measure_auc_delong(truth: NDArray[Any], scores: NDArray[Any]) -> DeLongAuc:
    """AUC of one score with DeLong's interval.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    scores : ndarray of float, shape (n,)
        Higher means True.

    Raises
    ------
    ValueError
        If one of the classes is missing, or a score is not finite.
    """
    auc, covariance = _aucs_and_covariance(truth, np.asarray(scores, float)[None])
    error = float(np.sqrt(covariance[0, 0]))
    half = float(norm.ppf(0.975)) * error
    return DeLongAuc(
        auc=float(auc[0]),
        standard_error=error,
        interval_95=(max(0.0, float(auc[0]) - half), min(1.0, float(auc[0]) + half)),
    )


def compare_auc_delong(
    truth: NDArray[Any], first: NDArray[Any], second: NDArray[Any]
) -> DeLongComparison:
    """Test whether two scores of the same samples have the same AUC.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    first, second : ndarray of float, shape (n,)

    Raises
    ------
    ValueError
        If one of the classes is missing, or a score is not finite.
    """
    scores = np.stack([np.asarray(first, float), np.asarray(second, float)])
    auc, covariance = _aucs_and_covariance(truth, scores)
    contrast = np.array([1.0, -1.0])
    difference = float(contrast @ auc)
    error = float(np.sqrt(max(0.0, contrast @ covariance @ contrast)))
    half = float(norm.ppf(0.975)) * error
    if error > 0:
        p_value = float(2 * norm.sf(abs(difference) / error))
    else:
        p_value = 1.0 if difference == 0 else 0.0
    return DeLongComparison(
        difference=difference,
        standard_error=error,
        interval_95=(difference - half, difference + half),
        p_value=p_value,
    )


def _aucs_and_covariance(
    truth: NDArray[Any], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUC of each row of scores, shape (k,), and their covariance, shape (k, k)."""
    labels = np.asarray(truth).astype(bool)
    if not np.isfinite(scores).all():
        raise ValueError("scores hold values that are not finite")
    positive, negative = scores[:, labels], scores[:, ~labels]
    m, n = positive.shape[1], negative.shape[1]
    if m == 0 or n == 0:
        raise ValueError(f"{m} positive and {n} negative samples: an AUC needs both")
    # Mid-ranks give each sample's placement among the other class without an m x n table.
    among_all = rankdata(np.concatenate([positive, negative], axis=1), axis=1)
    over_negatives = (among_all[:, :m] - rankdata(positive, axis=1)) / n
    under_positives = 1 - (among_all[:, m:] - rankdata(negative, axis=1)) / m
    aucs = over_negatives.mean(axis=1)
    covariance = _covariance(over_negatives) / m + _covariance(under_positives) / n
    return aucs, covariance


def _covariance(placements: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance of the rows; 0 where there is one sample only."""
    if placements.shape[1] < 2:
        return np.zeros((len(placements), len(placements)))
    return np.atleast_2d(np.cov(placements))
