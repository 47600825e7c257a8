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
from numpy.typing import NDArray
from rich.progress import track

from node.domain.errors import SetupFault
from node.evaluation.overlap import measure_dice
from node.evaluation.paired import PairedComparison, compare_paired, mean_by_patient
from node.training.batches import TrainingPair
from node.training.fit_unet import fit_segmenter
from node.training.recipe import Recipe, load_recipe
from node.training.segmenter import (
    count_channels,
    limits_of,
    make_preparer,
    prepare_part,
    read_dataset,
    read_negatives,
    split_cases,
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
THRESHOLD = 0.5


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
        ``variants``: for each the mean Dice over patients, and the paired comparison with the
        first of them (the plain U-Net, unless ``only`` leaves it out); as in ``ablation.json``.

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
    cases = read_dataset(recipe, data_dir)
    negatives = read_negatives(recipe, negatives_dir)
    parts = {**split_cases(cases, recipe), **split_cases(negatives, recipe)}
    prepare = make_preparer(recipe, cases, negatives, parts, limit=limit)
    scores: dict[str, tuple[NDArray[np.str_], NDArray[np.float64]]] = {}
    for name in only or variants:
        folder = run_dir / _folder_name(name)
        settings = recipe.segmenter.model_copy(
            update={
                "network": recipe.segmenter.network.model_copy(update=variants[name]),
                "phases": recipe.ablation,
            }
        )
        log.info("ablation.variant", name=name)
        best = fit_segmenter(
            prepare,
            settings=settings,
            channels=count_channels(recipe, cases),
            limits=limits_of(recipe),
            seed=recipe.seed,
            run_dir=folder,
            resume=True,
        )
        scores[name] = _judge(
            best, folder, recipe, [c for c in cases if parts[c.patient] == "test"][:limit]
        )
    summary = _summarise(scores, seed=recipe.seed)
    (run_dir / "ablation.json").write_text(json.dumps(summary, indent=1) + "\n")
    (run_dir / "ablation.md").write_text(_as_markdown(summary))
    return summary


def _folder_name(variant: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in variant).strip("-")


def _judge(
    best: Path, folder: Path, recipe: Recipe, test: Sequence[Any]
) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
    """Dice of every test slice with a lesion, at the grid of the last phase."""
    cache = folder / "test_dice.npz"
    if cache.exists() and cache.stat().st_mtime > best.stat().st_mtime:
        with np.load(cache, allow_pickle=False) as content:
            return content["patients"], content["dice"]
    import keras

    model = keras.models.load_model(best, compile=False)
    patients, dice = [], []
    for item in track(test, description="test patients"):
        for pair in prepare_part(recipe, [item], recipe.ablation[-1]):
            if pair.mask.max() > THRESHOLD:
                patients.append(item.patient)
                dice.append(_dice_of(model, pair))
    found = np.array(patients, dtype=np.str_), np.array(dice)
    np.savez_compressed(cache, patients=found[0], dice=found[1])
    return found


def _dice_of(model: Any, pair: TrainingPair) -> float:
    logits = np.asarray(model.predict_on_batch(pair.image[None]), np.float32)[0, ..., 0]
    return measure_dice(logits > 0, pair.mask > THRESHOLD)


def _summarise(
    scores: Mapping[str, tuple[NDArray[np.str_], NDArray[np.float64]]], *, seed: int
) -> dict[str, Any]:
    rows = {}
    first = next(iter(scores))
    for name, (patients, dice) in scores.items():
        comparison = compare_paired(
            patients, dice, scores[first][1], rng=np.random.default_rng(seed)
        )
        _, means = mean_by_patient(patients, dice)
        rows[name] = {
            "dice": float(means.mean()),
            "slices": len(dice),
            "beside": first,
            "comparison": asdict(comparison),
        }
    return {"variants": rows}


def _as_markdown(summary: Mapping[str, Any]) -> str:
    first = next(iter(summary["variants"]))
    lines = [
        f"| network | Dice | gain over {first} (95 % interval) | p | better / worse |",
        "|---|---|---|---|---|",
    ]
    for name, row in summary["variants"].items():
        found = PairedComparison(**row["comparison"])
        low, high = found.interval_95
        gain = f"{found.mean_difference:+.3f} ({low:+.3f} to {high:+.3f})"
        told = (
            "- | - | -"
            if name == row["beside"]
            else (f"{gain} | {found.p_value:.3g} | {found.better} / {found.worse}")
        )
        lines.append(f"| {name} | {row['dice']:.3f} | {told} |")
    return "\n".join(lines) + "\n"
