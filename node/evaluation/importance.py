"""Permutation importance of features, alike ones shuffled together.

References
----------
Breiman, Mach Learn 45, 2001, doi:10.1023/A:1010933404324; Strobl et al., BMC Bioinformatics 9,
2008, doi:10.1186/1471-2105-9-307 (one of two correlated features hides the other).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from node.evaluation.discrimination import measure_auc


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Loss of AUC when a group of features is shuffled between lesions.

    Parameters
    ----------
    features : tuple of str
        The group.
    loss : float
        Mean over the shuffles.
    low, high : float
        2.5th and 97.5th percentile over the shuffles; how other patients would differ is not in it.
    """

    features: tuple[str, ...]
    loss: float
    low: float
    high: float


def group_alike(
    values: NDArray[np.float64], columns: Sequence[int], *, correlation: float = 0.7
) -> list[tuple[int, ...]]:
    """Group columns by their absolute rank correlation (average linkage).

    Parameters
    ----------
    values : ndarray, shape (n, features)
    columns : sequence of int
        Without NaN.
    correlation : float
        Mean correlation that holds a group together.
    """
    if len(columns) < 2:
        return [tuple(columns)]
    ranks = np.column_stack([rankdata(values[:, column]) for column in columns])
    with np.errstate(invalid="ignore"):
        alike = np.nan_to_num(np.abs(np.corrcoef(ranks.T)))
    apart = np.clip(1 - alike, 0, None)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "average")
    labels = fcluster(tree, 1 - correlation, "distance")
    order = list(dict.fromkeys(labels))
    return [
        tuple(c for c, label in zip(columns, labels, strict=True) if label == one) for one in order
    ]


def measure_importance(
    predict: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    values: NDArray[np.float64],
    labels: NDArray[Any],
    names: Sequence[str],
    groups: Sequence[Sequence[int]],
    *,
    rng: np.random.Generator,
    repeats: int = 30,
) -> list[Importance]:
    """Shuffle each group of columns on lesions that the classifier was not fitted to.

    Parameters
    ----------
    predict : callable
        Scores: shape (n,) for two classes, else (n, classes).
    values : ndarray, shape (n, features)
    labels : ndarray, shape (n,)
    names : sequence of str
    groups : sequence of sequence of int
        Columns that are shuffled together, by the same permutation.
    rng : numpy.random.Generator
    repeats : int

    Returns
    -------
    list of Importance
        The most important first.
    """
    classes = np.unique(labels)
    whole = measure_auc(labels, predict(values), classes)
    found = []
    for group in groups:
        columns = list(group)
        lost = []
        for _ in range(repeats):
            shuffled = values.copy()
            shuffled[:, columns] = values[rng.permutation(len(values))][:, columns]
            lost.append(whole - measure_auc(labels, predict(shuffled), classes))
        low, high = np.percentile(lost, [2.5, 97.5])
        found.append(
            Importance(
                features=tuple(names[column] for column in columns),
                loss=float(np.mean(lost)),
                low=float(low),
                high=float(high),
            )
        )
    return sorted(found, key=lambda one: -one.loss)
