"""Figures for named groups of cases, each with its interval over patients."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.evaluation.discrimination import bootstrap_interval
from node.evaluation.paired import mean_by_patient

#: Takes the rows of the cases drawn; NaN where the figure is undefined.
Measure = Callable[[NDArray[np.intp]], float]


def measure_figure(
    patients: NDArray[Any],
    rows: NDArray[np.bool_],
    measure: Measure,
    *,
    rng: np.random.Generator,
    draws: int = 1000,
) -> dict[str, Any]:
    """Return a figure of some cases: value, interval_95, patients, cases.

    Parameters
    ----------
    patients : ndarray, shape (n,)
        Patient of each case.
    rows : ndarray of bool, shape (n,)
    measure : callable
        Of the indices of cases.
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    dict
        Numbers with four digits; None (JSON's null) for what is undefined.
    """
    chosen = np.flatnonzero(rows)
    figure: dict[str, Any] = {
        "value": None,
        "interval_95": [None, None],
        "patients": len(np.unique(patients[chosen])),
        "cases": len(chosen),
    }
    if len(chosen):
        low, high = bootstrap_interval(
            patients[chosen], lambda drawn: measure(chosen[drawn]), rng=rng, draws=draws
        )
        figure["value"] = round_figure(measure(chosen))
        figure["interval_95"] = [round_figure(low), round_figure(high)]
    return figure


def measure_patient_mean(
    patients: NDArray[Any],
    values: NDArray[Any],
    rows: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
) -> dict[str, Any]:
    """Return the mean over patients of each patient's mean, as ``measure_figure`` does; + median.

    Cases whose value is NaN are left out.
    """
    values = np.asarray(values, float)
    chosen = rows & np.isfinite(values)
    names, means = mean_by_patient(patients[chosen], values[chosen])
    figure = measure_figure(
        names,
        np.ones(len(names), bool),
        lambda drawn: float(means[drawn].mean()),
        rng=rng,
        draws=draws,
    )
    median = round_figure(float(np.median(means))) if len(means) else None
    return {**figure, "median": median, "cases": int(chosen.sum())}


def tabulate_subgroups(
    groups: Mapping[str, NDArray[np.bool_]],
    patients: NDArray[Any],
    figures: Mapping[str, NDArray[Any]],
    *,
    rng: np.random.Generator,
    draws: int = 1000,
) -> dict[str, dict[str, Any]]:
    """Return for each group the mean over patients of each figure; empty groups are left out.

    Parameters
    ----------
    groups : mapping of str to ndarray of bool, shape (n,)
        Name of the group to its cases; groups may overlap.
    patients : ndarray, shape (n,)
    figures : mapping of str to ndarray of float, shape (n,)
        E.g. ``{"dice": ..., "hd95_mm": ...}``.
    rng : numpy.random.Generator
    draws : int
    """
    return {
        group: {
            name: measure_patient_mean(patients, values, rows, rng=rng, draws=draws)
            for name, values in figures.items()
        }
        for group, rows in groups.items()
        if rows.any()
    }


def round_figure(value: float) -> float | None:
    """Four digits; None (JSON's null) for what is undefined."""
    return round(float(value), 4) if np.isfinite(value) else None
