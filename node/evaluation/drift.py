"""Whether what comes in looks like what a model was trained on: PSI and Kolmogorov-Smirnov.

A drift of the input says nothing of errors; it says where to look for them. Both measures compare
one feature at a time, so that a table of many needs a correction for their number.

References
----------
Yurdakul, Naranjo, J Risk Model Validation 14(4), 2020, doi:10.21314/JRMV.2020.227 (population
stability index and its distribution); Hodges, Ark Mat 3, 1958, doi:10.1007/BF02589501 (two-sample
Kolmogorov-Smirnov); Benjamini, Hochberg, J R Stat Soc B 57(1), 1995 (many tests).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, false_discovery_control, ks_2samp

BINS = 10
NOTABLE, LARGE = 0.1, 0.25
"""Customary limits of the index; ``Stability.chance`` tells whether so few cases can show it."""
SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Population stability index of one feature.

    Parameters
    ----------
    index : float
        Symmetric Kullback-Leibler divergence over the bins; 0 where shares are alike.
    chance : float
        What it stays below 95 times in 100 where nothing has changed, for so many cases.
    """

    index: float
    chance: float


@dataclass(frozen=True, kw_only=True)
class FeatureDrift:
    """How a feature of the cases differs from the reference.

    Parameters
    ----------
    name : str
    stability : Stability
    distance : float
        Kolmogorov-Smirnov statistic, 0 to 1.
    p_value : float
        Of it, corrected for the number of features.
    reference_median, median : float
    count : int
        Cases in which the feature was defined.
    """

    name: str
    stability: Stability
    distance: float
    p_value: float
    reference_median: float
    median: float
    count: int

    @property
    def has_drifted(self) -> bool:
        """Both measures say so: a large index that chance does not explain, and the test."""
        index = self.stability.index
        return index > max(LARGE, self.stability.chance) and self.p_value < SIGNIFICANT


def measure_stability(
    reference: NDArray[np.floating], current: NDArray[np.floating], *, bins: int = BINS
) -> Stability:
    """Population stability index, in bins that hold like shares of the reference.

    Parameters
    ----------
    reference, current : ndarray, shape (n,) and (m,)
        Without NaN.
    bins : int
        Where the reference has no more different values, each has a bin, and so has what lies
        below and above all of them.

    Raises
    ------
    ValueError
        If one of them is empty.
    """
    if not len(reference) or not len(current):
        raise ValueError("no cases: the index is undefined")
    edges = _edges(np.asarray(reference, np.float64), bins)
    shares = []
    for values in (reference, current):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        # half a case in each bin: one that is empty would make the index infinite
        shares.append((counts + 0.5) / (len(values) + 0.5 * len(counts)))
    expected, actual = shares
    index = float(((actual - expected) * np.log(actual / expected)).sum())
    freedom = max(1, len(edges))
    limit = float(chi2.ppf(0.95, freedom)) * (1 / len(reference) + 1 / len(current))
    return Stability(index=index, chance=limit)


def _edges(reference: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Borders of the bins: quantiles, or the values themselves where there are few.

    Where many cases have the largest value, what lies beyond it has a bin of its own: a slice
    thickness that was always 5 mm and is 7 mm now would else not be seen.
    """
    values = np.unique(reference)
    few = len(values) <= bins
    edges = values if few else np.unique(np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1]))
    if edges[-1] == values[-1]:
        edges = np.append(edges, np.nextafter(values[-1], np.inf))
    return np.asarray(edges, np.float64)


def measure_drift(
    names: Sequence[str], reference: NDArray[np.floating], current: NDArray[np.floating]
) -> tuple[FeatureDrift, ...]:
    """Compare every feature of the cases with the reference, the largest index first.

    Parameters
    ----------
    names : sequence of str
    reference, current : ndarray, shape (n, features) and (m, features)
        NaN where a feature is undefined; features that are so throughout are left out.
    """
    found = []
    for name, before, after in zip(names, reference.T, current.T, strict=True):
        old, new = (np.asarray(side[~np.isnan(side)], np.float64) for side in (before, after))
        if len(old) and len(new):
            found.append((name, old, new, ks_2samp(old, new)))
    if not found:
        return ()
    corrected = false_discovery_control([test.pvalue for *_, test in found])
    drifts = [
        FeatureDrift(
            name=name,
            stability=measure_stability(old, new),
            distance=float(test.statistic),
            p_value=float(p_value),
            reference_median=float(np.median(old)),
            median=float(np.median(new)),
            count=len(new),
        )
        for (name, old, new, test), p_value in zip(found, corrected, strict=True)
    ]
    return tuple(sorted(drifts, key=lambda drift: -drift.stability.index))
