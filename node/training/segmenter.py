"""``onconode train segmenter``: read the data, split by patient, train."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import structlog

from node.domain.errors import SetupFault
from node.segment.preprocess import InputSpec
from node.training.datasets import LabelledSlice, read_cheng
from node.training.fit_unet import fit_segmenter, prepare_pair
from node.training.recipe import Recipe, load_recipe
from node.training.splits import split_patients

log = structlog.get_logger()

DATASETS = {"cheng": read_cheng}


def read_dataset(recipe: Recipe, data_dir: Path) -> list[LabelledSlice]:
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


def split_slices(slices: Sequence[LabelledSlice], recipe: Recipe) -> dict[str, str]:
    """Split the patients, stratified by tumour type and by family of identifiers.

    In the Cheng set identifiers that start with letters are all gliomas, so a split that does not
    share them out would shift the task between its parts.
    """
    strata = {
        item.patient: f"{item.tumour_type}/{'letters' if item.patient[0].isalpha() else 'digits'}"
        for item in slices
    }
    return split_patients(strata, fractions=recipe.fractions, seed=recipe.seed)


def train_segmenter(
    recipe_path: Path, *, data_dir: Path, run_dir: Path, resume: bool, limit: int | None = None
) -> Path:
    """Train the segmenter of a recipe.

    Parameters
    ----------
    recipe_path, data_dir, run_dir : Path
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
    parts = split_slices(slices, recipe)
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / "split.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["patient", "part"])
        writer.writerows(sorted(parts.items()))
    log.info("split.made", patients=dict(Counter(parts.values())))
    spec = InputSpec(**recipe.input.model_dump())
    pairs = {
        part: [prepare_pair(item, spec) for item in slices if parts[item.patient] == part][:limit]
        for part in ("train", "validation")
    }
    return fit_segmenter(
        pairs["train"], pairs["validation"], recipe=recipe, run_dir=run_dir, resume=resume
    )
