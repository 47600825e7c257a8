"""``onconode train ablation``: the network part by part, and beside the plain U-Net.

Every variant sees the same slices in the same order, for the recipe's ablation phases, and is
judged on the test patients. Nothing is chosen by these figures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from node.domain.errors import SetupFault
from node.evaluation.paired import PairedComparison, compare_paired
from node.training.recipe import Recipe, load_recipe
from node.training.variants import (
    SliceScores,
    make_table,
    name_folder,
    read_material,
    score_variant,
)

log = structlog.get_logger()

PLAIN = {
    "residual": False,
    "fusion": False,
    "selective_from": None,
    "gates": False,
    "supervision": False,
}
#: In the order in which they are added to the plain U-Net; the last one makes it whole.
PARTS = ("residual", "fusion", "selective_from", "gates", "supervision")
NAMES = {
    "residual": "+ residual blocks",
    "fusion": "+ full-scale fusion",
    "selective_from": "+ selective kernels",
    "gates": "+ attention gates",
    "supervision": "+ deep supervision (MSA-ResUNet)",
}


def make_variants(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Return the network's settings by name: the plain U-Net, and one part more at each step."""
    whole = recipe.segmenter.network.model_dump()
    settings = {**whole, **PLAIN}
    variants = {"plain U-Net": dict(settings)}
    for part in PARTS:
        if whole[part] in (False, None):
            continue
        settings[part] = whole[part]
        variants[NAMES[part]] = dict(settings)
    return variants


def train_ablation(
    recipe_path: Path,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    run_dir: Path,
    only: Sequence[str] = (),
    limit: int | None = None,
) -> dict[str, Any]:
    """Train and judge all variants; what a former call has finished is kept.

    Parameters
    ----------
    recipe_path, data_dir, run_dir : Path
    negatives_dir : Path or None
        Needed if the recipe asks for tumour-free slices of another set.
    only : sequence of str
        Names of variants; all if empty.
    limit : int, optional
        Use at most this many cases of each part, for a quick trial in a run folder of its own.

    Returns
    -------
    dict
        ``variants``: for each the mean Dice over patients, the share of tumour-free slices without
        a mark, and the paired comparison of Dice with the first of them (the plain U-Net, unless
        ``only`` leaves it out); as in ``ablation.json``.

    Raises
    ------
    SetupFault
        If the recipe has no ablation phases, or there is no variant of such a name.
    """
    recipe = load_recipe(recipe_path)
    variants = make_variants(recipe)
    unknown = set(only) - set(variants)
    if unknown or not recipe.ablation:
        raise SetupFault(
            f"no variant {sorted(unknown)}; expected {list(variants)}"
            if unknown
            else f"recipe {recipe_path.name} has no 'ablation' phases"
        )
    material = read_material(recipe, data_dir, negatives_dir)
    scores: dict[str, SliceScores] = {}
    for name in only or variants:
        log.info("ablation.variant", name=name)
        network = recipe.segmenter.network.model_copy(update=variants[name])
        scores[name] = score_variant(
            recipe,
            material,
            settings=recipe.segmenter.model_copy(
                update={"network": network, "phases": recipe.ablation}
            ),
            judged="test",
            run_dir=run_dir / name_folder(name),
            limit=limit,
        )
    summary = _summarise(scores, seed=recipe.seed)
    (run_dir / "ablation.json").write_text(json.dumps(summary, indent=1) + "\n")
    (run_dir / "ablation.md").write_text(_as_markdown(summary))
    return summary


def _summarise(scores: Mapping[str, SliceScores], *, seed: int) -> dict[str, Any]:
    rows = {}
    first = next(iter(scores))
    for name, found in scores.items():
        patients, dice = found.on_lesions
        comparison = compare_paired(
            patients, dice, scores[first].on_lesions[1], rng=np.random.default_rng(seed)
        )
        rows[name] = {
            "dice": found.mean(lesion=True),
            "quiet": found.mean(lesion=False),
            "slices": len(dice),
            "beside": first,
            "comparison": asdict(comparison),
        }
    return {"variants": rows}


def _as_markdown(summary: Mapping[str, Any]) -> str:
    variants = summary["variants"]
    header = ["network", "Dice", f"gain over {next(iter(variants))} (95 % interval)", "p"]
    rows = {}
    for name, row in variants.items():
        found = PairedComparison(**row["comparison"])
        low, high = found.interval_95
        told = (
            ["-", "-", "-"]
            if name == row["beside"]
            else [
                f"{found.mean_difference:+.3f} ({low:+.3f} to {high:+.3f})",
                f"{found.p_value:.3g}",
                f"{found.better} / {found.worse}",
            ]
        )
        rows[name] = [f"{row['dice']:.3f}", *told, f"{row['quiet']:.3f}"]
    return make_table([*header, "better / worse", "quiet without tumour"], rows)
