"""What the abstain rule costs and what it saves: coverage, and error where it decides.

References
----------
Chow, IEEE Trans Inf Theory 16(1), 1970, doi:10.1109/TIT.1970.1054406 (reject option).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.evaluation.discrimination import bootstrap_interval


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share with its 95 % interval by bootstrap over patients; NaN where undefined."""

    value: float
    interval_95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Abstention:
    """Figures of a rule.

    Parameters
    ----------
    lesions, patients : int
    coverage : Share
        Of the lesions that get an answer.
    error_where_decided, error_where_abstained, error_if_always_decided : Share
        With the likelier class as the answer; a good rule leaves out what would be wrong.
    reasons : dict of str to int
        First words of a reason (up to the colon) -> lesions.
    """

    lesions: int
    patients: int
    coverage: Share
    error_where_decided: Share
    error_where_abstained: Share
    error_if_always_decided: Share
    reasons: dict[str, int]


def measure_abstention(
    truth: NDArray[np.bool_],
    probability: NDArray[np.float64],
    reasons: NDArray[Any],
    patients: NDArray[Any],
    *,
    rng: np.random.Generator,
) -> Abstention:
    """Measure a rule by what it did.

    Parameters
    ----------
    truth : ndarray of bool, shape (n,)
    probability : ndarray of float64, shape (n,)
        Of the positive class.
    reasons : ndarray of str, shape (n,)
        Why there is no answer; empty where there is one.
    patients : ndarray, shape (n,)
    rng : numpy.random.Generator
    """
    wrong = (probability >= 0.5) != truth
    decided = np.array([not reason for reason in reasons])
    everyone = np.ones(len(truth), bool)

    def share(of: NDArray[np.bool_], what: NDArray[np.bool_]) -> Share:
        rows = np.flatnonzero(of)
        if not len(rows):
            return Share(value=float("nan"), interval_95=(float("nan"), float("nan")))
        among = what[rows].astype(np.float64)
        low, high = bootstrap_interval(
            patients[rows], lambda drawn: float(among[drawn].mean()), rng=rng
        )
        return Share(value=float(among.mean()), interval_95=(low, high))

    return Abstention(
        lesions=len(truth),
        patients=len(np.unique(patients)),
        coverage=share(everyone, decided),
        error_where_decided=share(decided, wrong),
        error_where_abstained=share(~decided, wrong),
        error_if_always_decided=share(everyone, wrong),
        reasons=dict(Counter(str(r).split(":")[0] for r in reasons if r).most_common()),
    )
