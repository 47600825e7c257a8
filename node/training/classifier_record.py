"""Figures and plots of a fitted classifier, from training and validation patients alone."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from node.classify.predict import AbstainRule
from node.domain.finding import INDETERMINATE
from node.evaluation.abstention import Abstention, measure_abstention
from node.evaluation.calibration import (
    ReliabilityBin,
    measure_calibration_error,
    measure_reliability,
)
from node.evaluation.classifier_plots import plot_convergence, plot_importance, plot_reliability
from node.evaluation.importance import Importance, group_alike, measure_importance
from node.evaluation.projection import plot_projection
from node.training.fit_projection import fit_projection
from node.training.fit_svm import FittedClassifier
from node.training.recipe import ClassifierRecipe
from node.training.svm_objective import SearchResult

PROJECTION = "projection.npz"


def write_classifier_record(
    fitted: FittedClassifier, directory: Path, *, settings: ClassifierRecipe, seed: int
) -> dict[str, Any]:
    """Write what tells how the classifier came about.

    ``projection.npz`` (for the plot of a case), ``projection.png``, ``convergence.png`` and
    ``search-*.csv``, ``features.csv`` (kept, used, or why dropped), ``reliability.png``,
    ``importance.png`` and ``importance.csv``.

    Parameters
    ----------
    fitted : FittedClassifier
    directory : Path
        Made if it is not there.
    settings : ClassifierRecipe
    seed : int

    Returns
    -------
    dict
        Figures for ``metrics.json``: calibration, abstention and importance on validation patients.
        Their probabilities come from calibrations that did not see the patient.
    """
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    _write_searches(fitted, directory)
    _write_choice(fitted, directory / "features.csv")
    _write_projection(fitted, directory, seed=seed)

    bins = _measure_bins(fitted, rng)
    (directory / "reliability.png").write_bytes(plot_reliability(bins))
    importance = _measure_importance(fitted, rng)
    (directory / "importance.png").write_bytes(plot_importance(importance))
    _write_importance(importance, directory / "importance.csv")
    calibration = fitted.malignancy_calibration
    figures: dict[str, Any] = {
        "features": {
            "offered": len(fitted.classifier.names),
            "after_choice": len(fitted.choice.columns),
            "malignancy": len(fitted.classifier.malignancy_columns),
            "type": len(fitted.classifier.type_columns),
        },
        "calibration": {
            "method": calibration.method,
            "brier_by_method": calibration.brier,
            "expected_calibration_error": measure_calibration_error(bins),
            "bins": [asdict(one) for one in bins],
        },
        "abstention": asdict(_measure_rule(fitted, settings, rng)),
        "importance": [asdict(one) for one in importance[:10]],
    }
    return json.loads(json.dumps(figures))


def _measure_bins(fitted: FittedClassifier, rng: np.random.Generator) -> list[ReliabilityBin]:
    return measure_reliability(
        fitted.calibrating.malignant,
        fitted.malignancy_calibration.probability[:, 1],
        fitted.calibrating.patients,
        rng=rng,
    )


def _measure_rule(
    fitted: FittedClassifier, settings: ClassifierRecipe, rng: np.random.Generator
) -> Abstention:
    rule = AbstainRule(
        low=settings.abstain_low,
        high=settings.abstain_high,
        novelty_limit=fitted.novelty_limit,
    )
    probability = fitted.malignancy_calibration.probability[:, 1]
    novelty = fitted.classifier.measure_novelty(fitted.calibrating.values)
    reasons = []
    for one, far in zip(probability, novelty, strict=True):
        assessment, reason = rule.assess(float(one), float(far))
        reasons.append(reason if assessment == INDETERMINATE else "")
    return measure_abstention(
        fitted.calibrating.malignant,
        probability,
        np.array(reasons),
        fitted.calibrating.patients,
        rng=rng,
    )


def _measure_importance(fitted: FittedClassifier, rng: np.random.Generator) -> list[Importance]:
    classifier, lesions = fitted.classifier, fitted.calibrating
    return measure_importance(
        lambda values: classifier.malignancy.predict_proba(values)[:, 1],
        lesions.values,
        lesions.malignant,
        classifier.names,
        group_alike(fitted.fitting.values, classifier.malignancy_columns),
        rng=rng,
    )


def _write_projection(fitted: FittedClassifier, directory: Path, *, seed: int) -> None:
    table = fitted.fitting
    labels = np.where(table.malignant, "malignant", "benign")
    if fitted.type_search is not None:
        labels = table.tumour_types
    projection = fit_projection(table.values, table.names, fitted.choice.columns, labels, seed=seed)
    projection.save(directory / PROJECTION)
    (directory / "projection.png").write_bytes(plot_projection(projection))


def _write_searches(fitted: FittedClassifier, directory: Path) -> None:
    searches: dict[str, SearchResult] = {"malignancy": fitted.malignancy_search}
    if fitted.type_search is not None:
        searches["type"] = fitted.type_search
    for name, search in searches.items():
        fields = list(dict.fromkeys(field for row in search.history for field in row))
        _write_rows(
            directory / f"search-{name}.csv",
            fields,
            [
                [f"{row[field]:g}" if field in row else "" for field in fields]
                for row in search.history
            ],
        )
    (directory / "convergence.png").write_bytes(
        plot_convergence({name: search.history for name, search in searches.items()})
    )


def _write_choice(fitted: FittedClassifier, path: Path) -> None:
    classifier = fitted.classifier
    rows = []
    for column, name in enumerate(classifier.names):
        used = [
            target
            for target, columns in (
                ("malignancy", classifier.malignancy_columns),
                ("type", classifier.type_columns),
            )
            if column in columns
        ]
        rows.append([name, "+".join(used), fitted.choice.dropped.get(name, "")])
    _write_rows(path, ["feature", "used_for", "dropped_because"], rows)


def _write_importance(found: Sequence[Importance], path: Path) -> None:
    rows = [
        [" ".join(one.features), f"{one.loss:.6f}", f"{one.low:.6f}", f"{one.high:.6f}"]
        for one in found
    ]
    _write_rows(path, ["features", "auc_lost", "low", "high"], rows)


def _write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
