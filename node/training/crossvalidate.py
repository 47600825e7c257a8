"""``onconode train crossvalidate``: the segmenter in cross-validation by patient."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from node.evaluation.discrimination import bootstrap_interval
from node.evaluation.paired import mean_by_patient
from node.training.recipe import Recipe, load_recipe
from node.training.segmenter import find_strata
from node.training.splits import split_patients
from node.training.variants import (
    Material,
    SliceScores,
    make_table,
    read_material,
    score_variant,
)

log = structlog.get_logger()


def cross_validate_segmenter(
    recipe_path: Path,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    run_dir: Path,
    folds: int,
    short: bool = False,
    limit: int | None = None,
) -> dict[str, Any]:
    """Train a network for each fold and judge it on that fold's patients.

    The test patients of the recipe take no part, so that the figures may serve choices. As in any
    training, the epoch that is kept is that with the highest Dice on patients who are not learnt
    from; these are patients of the next fold, so that the judged ones choose nothing.

    Parameters
    ----------
    recipe_path, data_dir, run_dir : Path
    negatives_dir : Path or None
    folds : int
        At least 3.
    short : bool
        Train for the recipe's ablation phases only.
    limit : int, optional
        Use at most this many cases of each part, for a quick trial.

    Returns
    -------
    dict
        ``folds``: mean Dice over patients (``dice``), share of tumour-free slices without a mark
        (``quiet``; NaN without such slices) and number of patients of each; ``dice``,
        ``interval_95`` (bootstrap over patients) and ``quiet`` of all; as in
        ``crossvalidation.json``.
    """
    recipe = load_recipe(recipe_path)
    phases = recipe.ablation if short and recipe.ablation else recipe.segmenter.phases
    settings = recipe.segmenter.model_copy(update={"phases": phases})
    material = read_material(recipe, data_dir, negatives_dir)
    fold_of = _share_out(recipe, material, folds)
    scores = []
    for fold in range(folds):
        log.info("crossvalidation.fold", fold=fold + 1, folds=folds)
        scores.append(
            score_variant(
                recipe,
                replace(material, parts=_assign(material, fold_of, fold, folds)),
                settings=settings,
                judged="judged",
                run_dir=run_dir / f"fold-{fold + 1}-of-{folds}",
                limit=limit,
            )
        )
    summary = _summarise(scores, seed=recipe.seed)
    (run_dir / "crossvalidation.json").write_text(json.dumps(summary, indent=1) + "\n")
    (run_dir / "crossvalidation.md").write_text(_as_markdown(summary))
    return summary


def _share_out(recipe: Recipe, material: Material, folds: int) -> dict[str, int]:
    """Fold of every patient who is not a test patient, alike in type and family."""
    shares = {str(fold): 1 / folds for fold in range(folds)}
    found: dict[str, int] = {}
    for cases in (material.cases, material.negatives):
        strata: Mapping[str, Hashable] = {
            patient: stratum
            for patient, stratum in find_strata(cases).items()
            if material.parts[patient] != "test"
        }
        if strata:
            split = split_patients(strata, fractions=shares, seed=recipe.seed)
            found |= {patient: int(fold) for patient, fold in split.items()}
    return found


def _assign(
    material: Material, fold_of: Mapping[str, int], fold: int, folds: int
) -> dict[str, str]:
    names = {fold: "judged", (fold + 1) % folds: "validation"}
    return {
        patient: names.get(fold_of[patient], "train") if patient in fold_of else "test"
        for patient in material.parts
    }


def _summarise(scores: list[SliceScores], *, seed: int) -> dict[str, Any]:
    together = SliceScores(
        patients=np.concatenate([found.patients for found in scores]),
        dice=np.concatenate([found.dice for found in scores]),
        lesion=np.concatenate([found.lesion for found in scores]),
    )
    patients, dice = mean_by_patient(*together.on_lesions)
    low, high = bootstrap_interval(
        patients, lambda drawn: float(dice[drawn].mean()), rng=np.random.default_rng(seed)
    )
    return {
        "folds": [_describe(found) for found in scores],
        **_describe(together),
        "interval_95": (low, high),
    }


def _describe(scores: SliceScores) -> dict[str, float]:
    return {
        "dice": scores.mean(lesion=True),
        "quiet": scores.mean(lesion=False),
        "patients": len(np.unique(scores.on_lesions[0])),
    }


def _as_markdown(summary: Mapping[str, Any]) -> str:
    low, high = summary["interval_95"]
    rows = {
        str(number): [str(row["patients"]), f"{row['dice']:.3f}", f"{row['quiet']:.3f}"]
        for number, row in enumerate(summary["folds"], start=1)
    }
    rows["all"] = [
        str(summary["patients"]),
        f"{summary['dice']:.3f} ({low:.3f} to {high:.3f})",
        f"{summary['quiet']:.3f}",
    ]
    return make_table(["fold", "patients", "Dice", "quiet without tumour"], rows)
