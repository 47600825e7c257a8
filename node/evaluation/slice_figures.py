"""Figures of a bundle on labelled slices or volumes, by patient, with intervals."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss

from node.evaluation.discrimination import bootstrap_interval, measure_auc

#: Benign, malignant.
BOTH = np.array([False, True])


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceResults:
    """What a bundle said of labelled cases (slices or volumes); one row each.

    Parameters
    ----------
    patients, tumour_types : ndarray of str, shape (n,)
    malignant : ndarray of bool, shape (n,)
    dice : ndarray of float64, shape (n,)
    found : ndarray of bool, shape (n,)
        A lesion was found and could be classified.
    hit : ndarray of bool, shape (n,)
        The largest lesion found is the labelled tumour (Dice of at least 0.1).
    probability : ndarray of float64, shape (n,)
        Of malignancy; NaN where nothing was classified.
    decided : ndarray of bool, shape (n,)
        The assessment was not indeterminate.
    predicted_types : ndarray of str, shape (n,)
    known : ndarray of bool, shape (n,), optional
        The labels tell whether it is malignant; without it, all of them do.
    unit : str
        What a case is, in the plural: "slices" or "volumes".
    """

    patients: NDArray[np.str_]
    tumour_types: NDArray[np.str_]
    malignant: NDArray[np.bool_]
    dice: NDArray[np.float64]
    found: NDArray[np.bool_]
    hit: NDArray[np.bool_]
    probability: NDArray[np.float64]
    decided: NDArray[np.bool_]
    predicted_types: NDArray[np.str_]
    known: NDArray[np.bool_] = field(default_factory=lambda: np.array([], bool))
    unit: str = "slices"

    def __post_init__(self) -> None:
        if len(self.known) != len(self.patients):
            object.__setattr__(self, "known", np.ones(len(self.patients), bool))


def measure_slices(results: SliceResults, *, seed: int) -> dict[str, Any]:
    """Return every figure with its 95 % interval, for all patients and for subgroups.

    Figures that the labels or the bundle have nothing for (types, malignancy) are left out.
    """
    rng = np.random.default_rng(seed)
    everyone = np.ones(len(results.patients), bool)
    numeric = np.array([patient[0].isdigit() for patient in results.patients], bool)
    judged = results.found & results.known
    figures: dict[str, Any] = {
        "patients": len(np.unique(results.patients)),
        results.unit: len(results.patients),
        "dice": _dice(results, everyone, rng),
        "dice_by_type": {
            str(kind): _dice(results, results.tumour_types == kind, rng)
            for kind in np.unique(results.tumour_types)
            if kind
        },
        "detection": _figure(results, everyone, lambda rows: float(results.hit[rows].mean()), rng),
    }
    if judged.any():
        figures["malignancy"] = _malignancy(results, judged, rng)
    if (judged & numeric).any():
        figures["malignancy_numeric_ids"] = _malignancy(results, judged & numeric, rng)
    if results.predicted_types.astype(bool).any():
        figures["type_accuracy"] = _figure(
            results,
            results.found,
            lambda rows: float(
                (results.predicted_types[rows] == results.tumour_types[rows]).mean()
            ),
            rng,
        )
    return figures


def measure_quiet(results: SliceResults, *, seed: int) -> dict[str, Any] | None:
    """Share of tumour-free slices without any mark, by slice; None without such slices."""
    if not len(results.patients):
        return None
    everyone = np.ones(len(results.patients), bool)
    rng = np.random.default_rng(seed)
    return _figure(results, everyone, lambda rows: float(results.dice[rows].mean()), rng)


def _figure(
    results: SliceResults,
    rows: NDArray[np.bool_],
    measure: Callable[[NDArray[np.intp]], float],
    rng: np.random.Generator,
) -> dict[str, Any]:
    chosen = np.flatnonzero(rows)
    value = measure(chosen)
    low, high = bootstrap_interval(
        results.patients[chosen], lambda drawn: measure(chosen[drawn]), rng=rng
    )
    return {
        "value": _round(value),
        "interval_95": [_round(low), _round(high)],
        "patients": len(np.unique(results.patients[chosen])),
        results.unit: len(chosen),
    }


def _round(value: float) -> float | None:
    """Four digits; None (JSON's null) for what is undefined."""
    return round(float(value), 4) if np.isfinite(value) else None


def _dice(
    results: SliceResults, rows: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, Any]:
    """Mean over patients of each patient's mean over slices."""
    patients = np.unique(results.patients[rows])
    means = np.array(
        [results.dice[rows & (results.patients == patient)].mean() for patient in patients]
    )
    low, high = bootstrap_interval(patients, lambda drawn: float(means[drawn].mean()), rng=rng)
    return {
        "value": _round(means.mean()),
        "median": _round(float(np.median(means))),
        "interval_95": [_round(low), _round(high)],
        "patients": len(patients),
        results.unit: int(rows.sum()),
    }


def _malignancy(
    results: SliceResults, rows: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, Any]:
    def auc(chosen: NDArray[np.intp]) -> float:
        return measure_auc(results.malignant[chosen], results.probability[chosen], BOTH)

    def accuracy(chosen: NDArray[np.intp]) -> float:
        called = results.probability[chosen] >= 0.5
        return float((called == results.malignant[chosen]).mean())

    def rate(truth: bool) -> Callable[[NDArray[np.intp]], float]:
        def measure(chosen: NDArray[np.intp]) -> float:
            chosen = chosen[results.malignant[chosen] == truth]
            if not len(chosen):
                return float("nan")
            return float(((results.probability[chosen] >= 0.5) == truth).mean())

        return measure

    patients = np.unique(results.patients[rows])
    by_patient = [rows & (results.patients == patient) for patient in patients]
    patient_truth = np.array([results.malignant[one].any() for one in by_patient])
    patient_score = np.array([results.probability[one].mean() for one in by_patient])

    def patient_auc(drawn: NDArray[np.intp]) -> float:
        return measure_auc(patient_truth[drawn], patient_score[drawn], BOTH)

    low, high = bootstrap_interval(patients, patient_auc, rng=rng)
    return {
        "auc": _figure(results, rows, auc, rng),
        "auc_by_patient": {
            "value": _round(patient_auc(np.arange(len(patients)))),
            "interval_95": [_round(low), _round(high)],
            "patients": len(patients),
        },
        "accuracy": _figure(results, rows, accuracy, rng),
        "sensitivity": _figure(results, rows, rate(True), rng),
        "specificity": _figure(results, rows, rate(False), rng),
        "brier": _round(brier_score_loss(results.malignant[rows], results.probability[rows])),
        "decided": _figure(results, rows, lambda c: float(results.decided[c].mean()), rng),
        "accuracy_where_decided": _figure(results, rows & results.decided, accuracy, rng),
    }
