"""Figures of predicted probabilities with intervals over patients: one row of a comparison."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.evaluation.calibration import measure_brier
from node.evaluation.discrimination import measure_auc

FIGURES = ("auc", "accuracy", "sensitivity", "specificity", "brier")


def measure_probabilities(
    labels: NDArray[Any], probability: NDArray[np.float64], classes: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the figures in the order of ``FIGURES``.

    Parameters
    ----------
    labels : ndarray, shape (n,)
    probability : ndarray, shape (n, classes)
    classes : ndarray
        Sorted. Of two classes the second is the positive one; of more, AUC, sensitivity and
        specificity are the plain mean of each class against the rest.

    Returns
    -------
    ndarray of float64, shape (5,)
        NaN where a class is missing.
    """
    called = classes[probability.argmax(axis=1)]
    positives = classes[1:] if len(classes) == 2 else classes
    sensitivity = [_share((called == name)[labels == name]) for name in positives]
    specificity = [_share((called != name)[labels != name]) for name in positives]
    scores = probability[:, 1] if len(classes) == 2 else probability
    truth = labels[:, None] == classes[None]
    brier = measure_brier(truth, probability)
    return np.array(
        [
            measure_auc(labels, scores, classes),
            float((called == labels).mean()),
            np.mean(sensitivity),
            np.mean(specificity),
            brier,
        ]
    )


def bootstrap_figures(
    labels: NDArray[Any],
    probability: NDArray[np.float64],
    classes: NDArray[Any],
    patients: NDArray[Any],
    *,
    seed: int,
    draws: int = 1000,
) -> NDArray[np.float64]:
    """Return the figures of bootstrap samples of patients.

    The same seed and patients give the same samples, so that two classifiers of the same lesions
    may be compared draw by draw.

    Returns
    -------
    ndarray of float64, shape (draws, 5)
    """
    rng = np.random.default_rng(seed)
    names, inverse = np.unique(patients, return_inverse=True)
    members = [np.flatnonzero(inverse == i) for i in range(len(names))]
    figures = np.empty((draws, len(FIGURES)))
    for draw in range(draws):
        chosen = rng.integers(0, len(names), len(names))
        rows = np.concatenate([members[i] for i in chosen])
        figures[draw] = measure_probabilities(labels[rows], probability[rows], classes)
    return figures


def find_interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile interval of bootstrap values; NaN ones are left out."""
    known = values[np.isfinite(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else float("nan")
