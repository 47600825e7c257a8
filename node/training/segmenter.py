"""``onconode train segmenter``: read the data, split by patient, train."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog

from node.domain.errors import SetupFault
from node.segment.preprocess import InputSpec
from node.training.datasets.cheng import read_cheng
from node.training.datasets.labelled import LabelledCase
from node.training.datasets.lgg import read_lgg_negatives
from node.training.fit_unet import TrainingPair, TrainingSet, fit_segmenter, prepare_pair
from node.training.recipe import Recipe, load_recipe
from node.training.splits import split_patients

log = structlog.get_logger()

DATASETS = {"cheng": read_cheng}
NEGATIVES = {"lgg": read_lgg_negatives}


def read_dataset(recipe: Recipe, data_dir: Path) -> list[LabelledCase]:
    """Read the data set that the recipe names.

    Raises
    ------
    SetupFault
        If the recipe names a data set that no adapter reads.
    """
    if recipe.dataset not in DATASETS:
        raise SetupFault(
            f"recipe names the data set {recipe.dataset!r}; expected one of {sorted(DATASETS)}"
        )
    return DATASETS[recipe.dataset](data_dir)


def read_negatives(recipe: Recipe, negatives_dir: Path | None) -> list[LabelledCase]:
    """Read the tumour-free slices that the recipe asks for; none if it asks for none.

    Raises
    ------
    SetupFault
        If the recipe names a set that no adapter reads, or its folder was not given.
    """
    name = recipe.segmenter.negatives
    if not name:
        return []
    if name not in NEGATIVES:
        raise SetupFault(f"recipe names negatives {name!r}; expected one of {sorted(NEGATIVES)}")
    if negatives_dir is None:
        raise SetupFault(
            f"the recipe trains with tumour-free slices ({name}): give --negatives DIR"
        )
    return NEGATIVES[name](negatives_dir)


def split_slices(slices: Sequence[LabelledCase], recipe: Recipe) -> dict[str, str]:
    """Split the patients, stratified by tumour type and by family of identifiers.

    In the Cheng set identifiers that start with letters are all gliomas, so a split that does not
    share them out would shift the task between its parts.
    """
    strata = {item.patient: "/".join([item.tumour_type, *item.notes.values()]) for item in slices}
    return split_patients(strata, fractions=recipe.fractions, seed=recipe.seed)


def train_segmenter(
    recipe_path: Path,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    run_dir: Path,
    resume: bool,
    limit: int | None = None,
) -> Path:
    """Train the segmenter of a recipe.

    Parameters
    ----------
    recipe_path, data_dir, run_dir : Path
    negatives_dir : Path or None
        Needed if the recipe asks for tumour-free slices.
    resume : bool
    limit : int, optional
        Use at most this many slices of each part (for a quick trial).

    Returns
    -------
    Path
        The best network.
    """
    recipe = load_recipe(recipe_path)
    slices = read_dataset(recipe, data_dir)
    negatives = read_negatives(recipe, negatives_dir)
    parts = {**split_slices(slices, recipe), **split_slices(negatives, recipe)}
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "split.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["patient", "part"])
        writer.writerows(sorted(parts.items()))
    log.info("split.made", patients=dict(Counter(parts.values())))
    spec = InputSpec(**recipe.input.model_dump())

    def pairs_of(items: Sequence[LabelledCase], part: str) -> list[TrainingPair]:
        chosen = [item for item in items if parts[item.patient] == part]
        return [prepare_pair(item, spec) for item in chosen[:limit]]

    return fit_segmenter(
        TrainingSet(positives=pairs_of(slices, "train"), negatives=pairs_of(negatives, "train")),
        TrainingSet(
            positives=pairs_of(slices, "validation"), negatives=pairs_of(negatives, "validation")
        ),
        recipe=recipe,
        run_dir=run_dir,
        resume=resume,
    )
