"""Whether probabilities mean what they say: Brier score, reliability.

References
----------
Brier, Mon Weather Rev 78(1), 1950; Brocker, Smith, Weather Forecast 22(3), 2007,
doi:10.1175/WAF993.1 (reliability diagrams).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.evaluation.discrimination import bootstrap_mean


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Lesions whose probability is alike.

    Parameters
    ----------
    predicted, observed : float
        Mean probability, and share that is malignant.
    interval : tuple of float
        95 % interval of ``observed``, by bootstrap over patients.
    count : int
    """

    predicted: float
    observed: float
    interval: tuple[float, float]
    count: int


def measure_brier(truth: NDArray[np.bool_], probability: NDArray[np.float64]) -> float:
    """Mean squared error of probabilities.

    Parameters
    ----------
    truth : ndarray of bool, shape (n, classes)
        One True in each row.
    probability : ndarray, shape (n, classes)
        Half the sum over classes is taken, so that two classes give the usual score of one of them.
    """
    return float(((probability - truth) ** 2).sum(axis=1).mean() / 2)


def measure_reliability(
    truth: NDArray[np.bool_],
    probability: NDArray[np.float64],
    patients: NDArray[Any],
    *,
    rng: np.random.Generator,
    bins: int = 6,
) -> list[ReliabilityBin]:
    """Share that is malignant among lesions of like probability, in bins of like size."""
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1)[1:-1])
    place = np.searchsorted(edges, probability, side="right")
    found = []
    for number in np.unique(place):
        rows = np.flatnonzero(place == number)
        observed = truth[rows].astype(np.float64)
        found.append(
            ReliabilityBin(
                predicted=float(probability[rows].mean()),
                observed=float(observed.mean()),
                interval=bootstrap_mean(patients[rows], observed, rng=rng),
                count=len(rows),
            )
        )
    return found


def measure_calibration_error(bins: list[ReliabilityBin]) -> float:
    """Mean gap between predicted and observed, weighted by count (expected calibration error)."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.predicted - one.observed) for one in bins) / total
