"""The plots of a bundle's report, from its results."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from node.evaluation.calibration import measure_reliability
from node.evaluation.case_figures import by_patient
from node.evaluation.case_results import CaseResults
from node.evaluation.classifier_plots import plot_reliability
from node.evaluation.paired import mean_by_patient
from node.evaluation.plots import (
    plot_by_group,
    plot_coverage,
    plot_roc,
    plot_shares,
    plot_volumes,
)


def plot_outlines(results: CaseResults) -> bytes:
    """Dice of each patient, by tumour type."""
    kinds = [str(kind) for kind in np.unique(results.tumour_types) if kind] or ["all"]
    groups = {}
    for kind in kinds:
        rows = results.tumour_types == kind if kind != "all" else np.ones(len(results.dice), bool)
        groups[kind] = mean_by_patient(results.patients[rows], results.dice[rows])[1]
    return plot_by_group(groups, label="Dice, mean of the patient")


def plot_sizes(results: CaseResults) -> bytes:
    """Outlined against labelled volume of each case."""
    label = "volume (ml), area times slice step" if results.unit == "slices" else "volume (ml)"
    return plot_volumes(results.column("reference_ml"), results.column("predicted_ml"), label=label)


def plot_lesion_sensitivity(
    by_size: Mapping[str, Mapping[str, Any]], results: CaseResults
) -> bytes:
    """Share of labelled lesions found, by size class."""
    shares = {
        name: (
            *(np.nan if v is None else v for v in (one["value"], *one["interval_95"])),
            one["lesions"],
        )
        for name, one in by_size.items()
    }
    unit = "outlines" if results.unit == "slices" else "lesions"
    return plot_shares(shares, label="share found", unit=unit)


def plot_discrimination(results: CaseResults) -> bytes:
    """ROC curves by patient and by case."""
    judged = results.found & results.known
    _, truth, probability = by_patient(results, judged)
    cases = (results.malignant[judged], results.probability[judged])
    one = results.unit.removesuffix("s")
    return plot_roc({"by patient": (truth, probability), f"by {one}": cases})


def plot_calibration(results: CaseResults) -> bytes:
    """Reliability diagram by case."""
    judged = results.found & results.known
    bins = measure_reliability(
        results.malignant[judged],
        results.probability[judged],
        results.patients[judged],
        rng=np.random.default_rng(0),
    )
    return plot_reliability(bins)


def plot_abstention(results: CaseResults, rule: Mapping[str, Any]) -> bytes:
    """Error against coverage by confidence, with the bundle's own rule."""
    judged = results.found & results.known
    probability = results.probability[judged]
    correct = (probability >= 0.5) == results.malignant[judged]
    return plot_coverage(
        np.abs(probability - 0.5),
        correct,
        coverage=float(results.decided[judged].mean()),
        error=rule["error_where_decided"]["value"] or 0.0,
    )
