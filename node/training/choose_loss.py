"""``onconode train losses``: which loss, judged on validation patients."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from node.domain.errors import SetupFault
from node.evaluation.paired import compare_paired
from node.training.recipe import load_recipe
from node.training.variants import make_table, name_folder, read_material, score_variant

log = structlog.get_logger()

OWN = "the recipe's own"


def compare_losses(
    recipe_path: Path,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    run_dir: Path,
    limit: int | None = None,
) -> dict[str, Any]:
    """Train the recipe's network with each of its candidate losses, for its ablation phases.

    Parameters
    ----------
    recipe_path, data_dir, run_dir : Path
    negatives_dir : Path or None
    limit : int, optional
        Use at most this many cases of each part, for a quick trial.

    Returns
    -------
    dict
        For each loss the mean over validation patients of Dice (``dice``), the share of their
        tumour-free slices without a mark (``quiet``; NaN without such slices), the mean of both
        (``score``), and the paired comparison of Dice with the recipe's own loss; as in
        ``losses.json``.

    Raises
    ------
    SetupFault
        If the recipe names no candidates or no ablation phases.
    """
    recipe = load_recipe(recipe_path)
    if not recipe.losses or not recipe.ablation:
        raise SetupFault(
            f"recipe {recipe_path.name} has no candidates 'losses', or no 'ablation' phases"
        )
    material = read_material(recipe, data_dir, negatives_dir)
    scores = {}
    for name, loss in {OWN: recipe.segmenter.loss, **recipe.losses}.items():
        log.info("losses.candidate", name=name)
        scores[name] = score_variant(
            recipe,
            material,
            settings=recipe.segmenter.model_copy(update={"loss": loss, "phases": recipe.ablation}),
            judged="validation",
            run_dir=run_dir / name_folder(name),
            limit=limit,
        )
    summary = {}
    for name, found in scores.items():
        dice, quiet = found.mean(lesion=True), found.mean(lesion=False)
        comparison = compare_paired(
            *found.on_lesions, scores[OWN].on_lesions[1], rng=np.random.default_rng(recipe.seed)
        )
        summary[name] = {
            "dice": dice,
            "quiet": quiet,
            "score": dice if np.isnan(quiet) else (dice + quiet) / 2,
            "comparison": asdict(comparison),
        }
    (run_dir / "losses.json").write_text(json.dumps(summary, indent=1) + "\n")
    (run_dir / "losses.md").write_text(_as_markdown(summary))
    return summary


def _as_markdown(summary: dict[str, Any]) -> str:
    rows = {}
    for name, row in summary.items():
        found = row["comparison"]
        low, high = found["interval_95"]
        rows[name] = [
            f"{row['dice']:.3f}",
            "-" if name == OWN else f"{found['mean_difference']:+.3f} ({low:+.3f} to {high:+.3f})",
            f"{row['quiet']:.3f}",
            f"{row['score']:.3f}",
        ]
    return make_table(
        ["loss", "Dice", f"gain over {OWN} (95 % interval)", "quiet without tumour", "mean"], rows
    )
