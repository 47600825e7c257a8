"""Drop features that cannot help, by rules that never look at a label.

As no label is seen, the search's own folds may share the choice; whoever judges a classifier makes
the choice anew from the training patients of each outer fold (``node.training.nested``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from node.domain.errors import Problem, SetupFault

#: Two values are one when they differ by less than this share of the larger: no feature at all.
SAME = 1e-9


@dataclass(frozen=True, kw_only=True)
class FeatureChoice:
    """What is left of a list of features.

    Parameters
    ----------
    columns : tuple of int
        Columns that are kept, rising.
    dropped : mapping of str to str
        Name of each feature that is not -> why.
    """

    columns: tuple[int, ...]
    dropped: Mapping[str, str]


def choose_features(
    values: NDArray[np.float64],
    names: Sequence[str],
    *,
    undefined_limit: float,
    correlation_limit: float,
    icc: Mapping[str, float] | None = None,
    minimum_icc: float = 0.75,
) -> FeatureChoice:
    """Drop features that are undefined, constant, fragile, or told already by another one.

    Parameters
    ----------
    values : ndarray, shape (n, features)
        Of training lesions; NaN where undefined.
    names : sequence of str
    undefined_limit : float
        Largest share of undefined values of a feature that is kept.
    correlation_limit : float
        Largest absolute Spearman correlation of two features that are both kept. The one with the
        higher ICC stays, or the first in order where no ICC is known.
    icc : mapping of str to float, optional
        Reproducibility; features that it does not name are not judged by it.
    minimum_icc : float

    Raises
    ------
    SetupFault
        If nothing is left.
    """
    icc = icc or {}
    undefined = np.isnan(values).mean(axis=0)
    dropped: dict[str, str] = {}
    left = []
    for column, name in enumerate(names):
        known = values[~np.isnan(values[:, column]), column]
        if undefined[column] > undefined_limit:
            dropped[name] = f"undefined in {undefined[column]:.0%} of the lesions"
        elif np.ptp(known) <= SAME * np.abs(known).max():
            dropped[name] = "constant"
        elif icc.get(name, 1.0) < minimum_icc:
            dropped[name] = f"fragile: ICC {icc[name]:.2f}"
        else:
            left.append(column)
    if not left:
        raise SetupFault(f"none of the {len(names)} features can be used for classification")
    order = sorted(left, key=lambda column: -icc.get(names[column], 0.0))
    kept = _drop_repeated(values, order, names, correlation_limit, dropped)
    return FeatureChoice(columns=tuple(sorted(kept)), dropped=dropped)


def complete_rows(values: NDArray[np.float64], columns: Sequence[int]) -> NDArray[np.bool_]:
    """Rows in which all the columns are defined, shape (n,)."""
    return np.asarray(~np.isnan(values[:, list(columns)]).any(axis=1))


def defined_columns(values: NDArray[np.float64], limit: float) -> NDArray[np.intp]:
    """Columns that are undefined in no more than a share of the rows."""
    return np.flatnonzero(np.isnan(values).mean(axis=0) <= limit)


def read_reproducibility(path: Path) -> dict[str, float]:
    """Read the ``icc.json`` of ``onconode evaluate reproducibility``, or ``{"feature": icc}``.

    Returns
    -------
    dict of str to float
        Without the features whose ICC is null (undefined): other rules deal with them.

    Raises
    ------
    SetupFault
        If the file is missing or holds something else.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        values = {
            str(name): value["icc"] if isinstance(value, dict) else value
            for name, value in content.items()
        }
        return {name: float(value) for name, value in values.items() if value is not None}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
        problem = Problem(
            code="reproducibility-file",
            found=str(fault),
            expected='JSON of the form {"feature": {"icc": 0.9}} or {"feature": 0.9}',
            remedy="write it with `onconode evaluate reproducibility`, or leave the setting empty",
            tag=path.name,
        )
        raise SetupFault("the reproducibility of the features cannot be read", [problem]) from fault


def _drop_repeated(
    values: NDArray[np.float64],
    order: Sequence[int],
    names: Sequence[str],
    limit: float,
    dropped: dict[str, str],
) -> list[int]:
    """Keep a column of ``order`` if no column kept before it tells the same; note the others."""
    rows = values[complete_rows(values, order)]
    if len(rows) < 3:  # no rank correlation to speak of
        return list(order)
    ranks = np.column_stack([rankdata(rows[:, column]) for column in order])
    deviation = ranks.std(axis=0)
    scaled = (ranks - ranks.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    correlation = np.minimum(np.abs(scaled.T @ scaled) / len(rows), 1.0)
    kept: list[int] = []
    for place, column in enumerate(order):
        twin = next((other for other in kept if correlation[place, other] > limit), None)
        if twin is None:
            kept.append(place)
        else:
            dropped[names[column]] = (
                f"rank correlation {correlation[place, twin]:.3f} with {names[order[twin]]}"
            )
    return [order[place] for place in kept]
