"""Agreement of two readers, or of a model with its labels: Cohen's kappa."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm


@dataclass(frozen=True, kw_only=True)
class Kappa:
    """Cohen's kappa; 0 is agreement by chance, 1 is full agreement.

    Parameters
    ----------
    kappa : float
        NaN where both name one and the same class throughout.
    standard_error : float
        Asymptotic, for independent samples.
    interval_95 : tuple of float
    """

    kappa: float
    standard_error: float
    interval_95: tuple[float, float]


def measure_kappa(first: NDArray[Any], second: NDArray[Any]) -> Kappa:
    """Cohen's kappa of two columns of classes, with its asymptotic interval.

    Parameters
    ----------
    first, second : ndarray, shape (n,)

    Raises
    ------
    ValueError
        If there is nothing to compare.

    References
    ----------
    Cohen, Educ Psychol Meas 20(1), 1960, doi:10.1177/001316446002000104.
    Standard error: Fleiss, Cohen, Everitt, Psychol Bull 72(5), 1969, doi:10.1037/h0028106.
    """
    if len(first) == 0:
        raise ValueError("no samples: kappa is undefined")
    # Not scikit-learn's confusion_matrix: a bootstrap over patients calls this thousands of times.
    classes, place = np.unique(np.append(first, second), return_inverse=True)
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (place[: len(first)], place[len(first) :]), 1)
    share = table / table.sum()
    rows, columns = share.sum(axis=1), share.sum(axis=0)
    observed, expected = float(np.trace(share)), float(rows @ columns)
    if np.isclose(expected, 1.0):
        return Kappa(
            kappa=float("nan"), standard_error=float("nan"), interval_95=(float("nan"),) * 2
        )
    kappa = (observed - expected) / (1 - expected)
    apart = ~np.eye(len(share), dtype=bool)
    diagonal = float((np.diag(share) * (1 - (rows + columns) * (1 - kappa)) ** 2).sum())
    # The row total of one class meets the column total of the other, hence the transpose.
    crossed = (columns[:, None] + rows[None, :]) ** 2
    elsewhere = (1 - kappa) ** 2 * float((share * crossed)[apart].sum())
    correction = (kappa - expected * (1 - kappa)) ** 2
    variance = (diagonal + elsewhere - correction) / ((1 - expected) ** 2 * table.sum())
    error = float(np.sqrt(max(0.0, variance)))
    half = float(norm.ppf(0.975)) * error
    return Kappa(
        kappa=kappa,
        standard_error=error,
        interval_95=(max(-1.0, kappa - half), min(1.0, kappa + half)),
    )
