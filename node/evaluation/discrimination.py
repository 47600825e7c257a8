"""Area under the ROC curve, and intervals by bootstrap over patients."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def measure_auc(labels: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any]) -> float:
    """AUC; with more than two classes the plain mean of each class against the rest.

    Parameters
    ----------
    labels : ndarray, shape (n,)
    scores : ndarray, shape (n,) for two classes (higher means ``classes[1]``), else (n, classes)
    classes : ndarray

    Returns
    -------
    float
        NaN where a class is missing.

    References
    ----------
    Hanley, McNeil, Radiology 143(1), 1982, doi:10.1148/radiology.143.1.7063747 (AUC by ranks).
    """
    if len(classes) == 2:
        return _measure_by_ranks(labels == classes[1], scores)
    each = [_measure_by_ranks(labels == name, scores[:, i]) for i, name in enumerate(classes)]
    return float(np.mean(each))


def _measure_by_ranks(truth: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Share of pairs in the right order; by ranks, as searches and bootstraps ask very often."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        return float("nan")
    above = rankdata(scores)[truth].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def bootstrap_interval(
    patients: NDArray[Any],
    figure: Callable[[NDArray[np.intp]], float],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
) -> tuple[float, float]:
    """95 % interval of a figure, drawing patients (not slices) with replacement.

    Parameters
    ----------
    patients : ndarray, shape (n,)
        Patient of each sample.
    figure : callable
        Takes the indices of the drawn samples; NaN (e.g. only one class drawn) is left out.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    tuple of float
        NaN where no draw gave a figure.

    References
    ----------
    Efron, Tibshirani: An Introduction to the Bootstrap, 1993 (percentile interval).
    """
    names, inverse = np.unique(patients, return_inverse=True)
    members = [np.flatnonzero(inverse == i) for i in range(len(names))]
    values = []
    for _ in range(draws):
        chosen = rng.integers(0, len(names), len(names))
        value = figure(np.concatenate([members[i] for i in chosen]))
        if np.isfinite(value):
            values.append(value)
    if not values:
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_mean(
    patients: NDArray[Any], values: NDArray[np.float64], *, rng: np.random.Generator
) -> tuple[float, float]:
    """95 % interval of a mean over samples, drawing patients, see ``bootstrap_interval``."""
    return bootstrap_interval(patients, lambda drawn: float(values[drawn].mean()), rng=rng)
