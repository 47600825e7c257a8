"""All figures of a bundle from what it made of labelled cases, as one nested dictionary."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from node.evaluation.agreement import measure_kappa
from node.evaluation.case_results import CaseResults
from node.evaluation.delong import measure_auc_delong
from node.evaluation.discrimination import measure_auc
from node.evaluation.lesionwise import SIZE_CLASSES
from node.evaluation.paired import mean_by_patient
from node.evaluation.slice_figures import BOTH, measure_quiet, measure_slices
from node.evaluation.subgroups import (
    measure_figure,
    measure_patient_mean,
    round_figure,
    tabulate_subgroups,
)
from node.evaluation.surface import TOLERANCE_MM

#: Figures of outlines, each a mean over patients.
OUTLINE_FIGURES = ("surface_dice", "hd95_mm", "volume_error_ml", "volume_error_percent")


def measure_cases(results: CaseResults, *, seed: int) -> dict[str, Any]:
    """Return every figure with its 95 % interval over patients.

    Those of ``measure_slices``; then outlines, lesions by size, subgroups, and the assessment by
    patient where the bundle classifies.
    """
    figures = measure_slices(results, seed=seed)
    rng = np.random.default_rng([seed, 1])
    everyone = np.ones(len(results.patients), bool)
    for name in OUTLINE_FIGURES:
        figures[name] = measure_patient_mean(
            results.patients, results.column(name), everyone, rng=rng
        )
    figures["surface_tolerance_mm"] = TOLERANCE_MM
    figures["hd95_where_found_mm"] = measure_patient_mean(
        results.patients, results.column("hd95_mm"), results.dice > 0, rng=rng
    )
    figures["absolute_volume_error_percent"] = measure_patient_mean(
        results.patients, np.abs(results.column("volume_error_percent")), everyone, rng=rng
    )
    figures["quiet_slices"] = measure_patient_mean(
        results.patients, results.quiet_slices, everyone, rng=rng
    )
    figures["lesions"] = _measure_lesions(results, rng)
    judged = results.found & results.known
    if judged.any():
        figures["malignancy_by_patient"] = _measure_patients(results, judged, rng)
        figures["abstention"] = _measure_abstention(results, rng)
        figures["size_alone"] = _measure_size(results, judged, np.random.default_rng([seed, 3]))
    if results.predicted_types.astype(bool).any():
        figures["type_kappa"] = measure_figure(
            results.patients,
            results.found,
            lambda rows: _kappa(results.tumour_types[rows], results.predicted_types[rows]),
            rng=rng,
        )
    figures["subgroups"] = tabulate_subgroups(
        results.groups(),
        results.patients,
        {
            "dice": results.dice,
            "surface_dice": results.column("surface_dice"),
            "hd95_mm": results.column("hd95_mm"),
            "detection": results.hit.astype(float),
        },
        rng=rng,
    )
    return figures


def measure_tumour_free(results: CaseResults, *, seed: int) -> dict[str, Any] | None:
    """Return how quiet a bundle keeps without a tumour; None without such cases.

    ``measure_quiet`` (share of cases without any mark), and ``false_marks_per_case``.
    """
    quiet = measure_quiet(results, seed=seed)
    if quiet is None:
        return None
    rng = np.random.default_rng([seed, 2])
    return {**quiet, "false_marks_per_case": _false_marks(results, rng)}


def _measure_lesions(results: CaseResults, rng: np.random.Generator) -> dict[str, Any]:
    rows = results.lesion_rows()
    found, sizes = rows["found"], rows["size_class"]

    def sensitivity(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        figure = measure_figure(
            rows["patients"], chosen, lambda drawn: float(found[drawn].mean()), rng=rng
        )
        figure["lesions"] = figure.pop("cases")
        return figure

    return {
        "sensitivity": sensitivity(np.ones(len(found), bool)),
        "by_size": {name: sensitivity(sizes == name) for name in SIZE_CLASSES},
        "false_marks_per_case": _false_marks(results, rng),
    }


def _false_marks(results: CaseResults, rng: np.random.Generator) -> dict[str, Any]:
    marks = np.array([one.false_marks for one in results.lesions], float)
    everyone = np.ones(len(marks), bool)
    return measure_patient_mean(results.patients, marks, everyone, rng=rng)


def _measure_size(
    results: CaseResults, rows: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, Any]:
    """AUC of the predicted size alone, the larger the worse, and what the bundle gains over it."""
    size, malignant = results.column("predicted_ml"), results.malignant

    def auc_of(values: NDArray[np.float64], drawn: NDArray[np.intp]) -> float:
        return measure_auc(malignant[drawn], values[drawn], BOTH)

    return {
        "auc": measure_figure(results.patients, rows, lambda drawn: auc_of(size, drawn), rng=rng),
        "auc_gain": measure_figure(
            results.patients,
            rows,
            lambda drawn: auc_of(results.probability, drawn) - auc_of(size, drawn),
            rng=rng,
        ),
    }


def by_patient(
    results: CaseResults, rows: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float64]]:
    """Return patients, whether malignant, and the mean probability over each one's cases."""
    names, probability = mean_by_patient(results.patients[rows], results.probability[rows])
    _, truth = mean_by_patient(results.patients[rows], results.malignant[rows])
    return names, truth > 0, probability


def _measure_patients(
    results: CaseResults, rows: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, Any]:
    """Figures with one answer for each patient: the mean probability, malignant from 0.5.

    Patients are independent, so that intervals exist that hold for few of them and at 0 and 1,
    where a bootstrap says nothing: ``delong_95`` of the AUC and ``wilson_95`` of shares.

    References
    ----------
    Wilson, J Am Stat Assoc 22(158), 1927, doi:10.1080/01621459.1927.10502953.
    """
    names, truth, probability = by_patient(results, rows)
    called = probability >= 0.5
    everyone = np.ones(len(names), bool)

    def share(of: NDArray[np.bool_], right: NDArray[np.bool_]) -> dict[str, Any]:
        figure = measure_figure(names, of, lambda drawn: float(right[drawn].mean()), rng=rng)
        if of.any():
            ends = binomtest(int(right[of].sum()), int(of.sum())).proportion_ci(method="wilson")
            figure["wilson_95"] = [round_figure(ends.low), round_figure(ends.high)]
        return figure

    auc = measure_figure(
        names,
        everyone,
        lambda drawn: measure_auc(truth[drawn], probability[drawn], BOTH),
        rng=rng,
    )
    if truth.any() and not truth.all():
        delong = measure_auc_delong(truth, probability)
        auc["delong_95"] = [round_figure(end) for end in delong.interval_95]
    return {
        "auc": auc,
        "accuracy": share(everyone, called == truth),
        "sensitivity": share(truth, called),
        "specificity": share(~truth, ~called),
        "kappa": measure_figure(
            names, everyone, lambda drawn: _kappa(truth[drawn], called[drawn]), rng=rng
        ),
    }


def _kappa(first: NDArray[Any], second: NDArray[Any]) -> float:
    return measure_kappa(first, second).kappa


def _measure_abstention(results: CaseResults, rng: np.random.Generator) -> dict[str, Any]:
    """How often the bundle answers where it marked something, and how often it errs then."""
    judged = results.found & results.known
    wrong = (results.probability >= 0.5) != results.malignant
    marked = np.array([one.marks > 0 for one in results.lesions])

    def share(of: NDArray[np.bool_], what: NDArray[np.bool_]) -> dict[str, Any]:
        return measure_figure(
            results.patients, of, lambda drawn: float(what[drawn].mean()), rng=rng
        )

    # A reason such as "novelty 1.04, limit 0.91" is counted by the words before its numbers.
    reasons = Counter(str(reason).split(":")[0] for reason in results.reasons if reason)
    open_cases = results.found & ~results.known
    return {
        "coverage": share(marked, results.decided),
        "error_where_decided": share(judged & results.decided, wrong),
        "error_if_always_decided": share(judged, wrong),
        "reasons": dict(reasons.most_common()),
        "decided_where_truth_is_open": share(open_cases, results.decided),
        "malignant_where_truth_is_open": share(
            open_cases & results.decided, results.probability >= 0.5
        ),
    }
