"""Train one network of a comparison, and judge it slice by slice on patients held out from it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import yaml
from numpy.typing import NDArray
from rich.progress import track

from node.evaluation.overlap import measure_dice
from node.evaluation.paired import mean_by_patient
from node.training.datasets.labelled import LabelledCase
from node.training.fit_unet import fit_segmenter
from node.training.recipe import Recipe, SegmenterRecipe
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

THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceScores:
    """Dice of single slices at the network's grid, at a probability of 0.5.

    Parameters
    ----------
    patients : ndarray of str, shape (n,)
    dice : ndarray of float, shape (n,)
        1 and 0 on a slice without lesion: without a mark, and with one.
    lesion : ndarray of bool, shape (n,)
        Whether the slice has a lesion.
    """

    patients: NDArray[np.str_]
    dice: NDArray[np.float64]
    lesion: NDArray[np.bool_]

    @property
    def on_lesions(self) -> tuple[NDArray[np.str_], NDArray[np.float64]]:
        """Patients and Dice of the slices with a lesion."""
        return self.patients[self.lesion], self.dice[self.lesion]

    def mean(self, *, lesion: bool) -> float:
        """Mean over patients of one kind of slices; NaN where there is none."""
        chosen = self.lesion == lesion
        if not chosen.any():
            return float("nan")
        return float(mean_by_patient(self.patients[chosen], self.dice[chosen])[1].mean())


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """Cases of a recipe, with the part of each patient.

    Parameters
    ----------
    cases, negatives : list of LabelledCase
    parts : dict of str to str
    """

    cases: list[LabelledCase]
    negatives: list[LabelledCase]
    parts: dict[str, str]

    def of_part(self, part: str, limit: int | None = None) -> list[LabelledCase]:
        """Cases of a part, and its slices without lesion; at most so many of each."""
        return [
            item
            for items in (self.cases, self.negatives)
            for item in [each for each in items if self.parts[each.patient] == part][:limit]
        ]


def read_material(recipe: Recipe, data_dir: Path, negatives_dir: Path | None) -> Material:
    """Read both data sets and split them as the recipe says."""
    cases = read_dataset(recipe, data_dir)
    negatives = read_negatives(recipe, negatives_dir)
    parts = {**split_cases(cases, recipe), **split_cases(negatives, recipe)}
    return Material(cases=cases, negatives=negatives, parts=parts)


def score_variant(
    recipe: Recipe,
    material: Material,
    *,
    settings: SegmenterRecipe,
    judged: str,
    run_dir: Path,
    limit: int | None = None,
) -> SliceScores:
    """Train with the given settings, or go on, and judge; what is finished is kept.

    Parameters
    ----------
    recipe : Recipe
        What ``settings`` says of the network and its training replaces its own.
    material : Material
    settings : SegmenterRecipe
    judged : str
        Part whose patients are judged.
    run_dir : Path
    limit : int, optional
        Use at most this many cases of each part.
    """
    grid = recipe.input.model_copy(update={"spacing_mm": settings.phases[-1].spacing_mm})
    recipe = recipe.model_copy(update={"segmenter": settings, "input": grid})
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "recipe.yaml").write_text(
        yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    )
    best = fit_segmenter(
        make_preparer(recipe, material.cases, material.negatives, material.parts, limit=limit),
        settings=settings,
        channels=count_channels(recipe, material.cases),
        limits=limits_of(recipe),
        seed=recipe.seed,
        run_dir=run_dir,
        resume=True,
    )
    cache = run_dir / f"{judged}_dice.npz"
    if cache.exists() and cache.stat().st_mtime > best.stat().st_mtime:
        with np.load(cache, allow_pickle=False) as content:
            return SliceScores(**content)
    scores = _judge(best, recipe, material.of_part(judged, limit))
    np.savez_compressed(cache, **asdict(scores))
    return scores


def _judge(best: Path, recipe: Recipe, cases: Sequence[LabelledCase]) -> SliceScores:
    import keras

    model: Any = keras.models.load_model(best, compile=False)
    patients, dice, lesion = [], [], []
    for item in track(cases, description="judged patients"):
        for pair in prepare_part(recipe, [item], recipe.segmenter.phases[-1]):
            logits = np.asarray(model.predict_on_batch(pair.image[None]), np.float32)[0, ..., 0]
            truth = pair.mask > THRESHOLD
            patients.append(item.patient)
            dice.append(measure_dice(logits > 0, truth))
            lesion.append(bool(truth.any()))
    return SliceScores(
        patients=np.array(patients, dtype=np.str_), dice=np.array(dice), lesion=np.array(lesion)
    )


def name_folder(variant: str) -> str:
    """Turn a variant's name into that of a folder."""
    return "".join(c if c.isalnum() else "-" for c in variant).strip("-")


def make_table(header: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Write a Markdown table; the name of each row comes first."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    lines += [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]
    return "\n".join(lines) + "\n"
