"""``onconode train segmenter``: read the data, split by patient, train."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from node.domain.errors import SetupFault
from node.segment.nodule_patches import CHANNELS, NoduleInputSpec
from node.segment.preprocess import InputSpec, plan_preparation
from node.training.batches import TrainingPair, TrainingSet
from node.training.datasets.cheng import read_cheng
from node.training.datasets.folders import read_folders
from node.training.datasets.labelled import LabelledCase
from node.training.datasets.lgg import read_lgg, read_lgg_negatives
from node.training.datasets.lidc import read_lidc
from node.training.fit_unet import Preparer, fit_segmenter
from node.training.nodules import prepare_nodule_pairs
from node.training.recipe import Phase, Recipe, load_recipe
from node.training.splits import split_patients

log = structlog.get_logger()

DATASETS = {
    "cheng": read_cheng,
    "lgg": read_lgg,
    "lidc": read_lidc,
    "folders": read_folders,
}
NEGATIVES = {"lgg": read_lgg_negatives, "folders": read_folders}
#: Slices without lesion of the data set itself.
OWN = "own"


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
    """Read the second set, of slices without lesion, that the recipe asks for; or none.

    Raises
    ------
    SetupFault
        If the recipe names a set that no adapter reads, or its folder was not given.
    """
    name = recipe.segmenter.negatives
    if name in ("", OWN):
        return []
    if name not in NEGATIVES:
        raise SetupFault(f"recipe names negatives {name!r}; expected one of {sorted(NEGATIVES)}")
    if negatives_dir is None:
        raise SetupFault(
            f"the recipe trains with tumour-free slices ({name}): give --negatives DIR"
        )
    return NEGATIVES[name](negatives_dir)


def split_cases(cases: Sequence[LabelledCase], recipe: Recipe) -> dict[str, str]:
    """Split the patients by the recipe's shares, see ``find_strata``."""
    return split_patients(find_strata(cases), fractions=recipe.fractions, seed=recipe.seed)


def find_strata(cases: Sequence[LabelledCase]) -> dict[str, str]:
    """Return each patient's tumour type or malignancy, with the family of identifiers.

    In the Cheng set identifiers that start with letters are all gliomas, so a split that does not
    share them out would shift the task between its parts.
    """
    strata: dict[str, str] = {}
    for item in cases:
        family = item.notes.get("identifiers", "")
        kind = item.tumour_type or str(item.malignant)
        strata.setdefault(item.patient, "/".join([kind, family] if family else [kind]))
    return strata


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
        Needed if the recipe asks for tumour-free slices of another set.
    resume : bool
    limit : int, optional
        Use at most this many cases of each part (for a quick trial).

    Returns
    -------
    Path
        The best network.
    """
    recipe = load_recipe(recipe_path)
    cases = read_dataset(recipe, data_dir)
    negatives = read_negatives(recipe, negatives_dir)
    parts = {**split_cases(cases, recipe), **split_cases(negatives, recipe)}
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "recipe.yaml").write_text(recipe_path.read_text())
    with (run_dir / "split.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["patient", "part"])
        writer.writerows(sorted(parts.items()))
    log.info("split.made", patients=dict(Counter(parts.values())))
    return fit_segmenter(
        make_preparer(recipe, cases, negatives, parts, limit=limit),
        settings=recipe.segmenter,
        channels=count_channels(recipe, cases),
        limits=limits_of(recipe),
        seed=recipe.seed,
        run_dir=run_dir,
        resume=resume,
    )


def count_channels(recipe: Recipe, cases: Sequence[LabelledCase]) -> int:
    """Channels of the network's input."""
    return CHANNELS if recipe.kind == "nodule" else len(cases[0].volumes)


def limits_of(recipe: Recipe) -> tuple[float, float]:
    """Range of the prepared intensities."""
    return (
        (-1.0, 1.0) if recipe.kind == "nodule" else (recipe.input.clip_low, recipe.input.clip_high)
    )


def make_preparer(
    recipe: Recipe,
    cases: Sequence[LabelledCase],
    negatives: Sequence[LabelledCase],
    parts: dict[str, str],
    *,
    limit: int | None = None,
) -> Preparer:
    """Give what makes the slices of training and validation patients for a phase."""

    def prepare(phase: Phase) -> tuple[TrainingSet, TrainingSet]:
        return prepare_set("train", phase), prepare_set("validation", phase)

    def prepare_set(part: str, phase: Phase) -> TrainingSet:
        chosen, quiet = (
            [item for item in items if parts[item.patient] == part][:limit]
            for items in (cases, negatives)
        )
        pairs = prepare_part(recipe, chosen, phase, copies=part == "train")
        if recipe.segmenter.negatives == OWN:
            others = [pair for pair in pairs if pair.mask.max() <= 0.5]
        else:
            others = prepare_part(recipe, quiet, phase)
        return TrainingSet(
            positives=[pair for pair in pairs if pair.mask.max() > 0.5], negatives=others
        )

    return prepare


def prepare_part(
    recipe: Recipe, cases: Sequence[LabelledCase], phase: Phase, *, copies: bool = False
) -> list[TrainingPair]:
    """Prepare the slices of cases on the grid of a phase.

    Parameters
    ----------
    recipe : Recipe
    cases : sequence of LabelledCase
    phase : Phase
    copies : bool
        For nodules: several points each, off the middle, as training wants them.
    """
    if recipe.kind == "nodule":
        spec = NoduleInputSpec(**recipe.nodule)  # type: ignore[arg-type]  # YAML numbers: sizes are whole there
        spec = replace(spec, spacing_mm=phase.spacing_mm)
        rng = np.random.default_rng(recipe.seed)
        if copies:
            return prepare_nodule_pairs(cases, spec, rng, copies=recipe.segmenter.points)
        return prepare_nodule_pairs(cases, spec, rng, jitter_mm=0.0)
    spec_2d = InputSpec(**recipe.input.model_dump())
    spec_2d = replace(spec_2d, spacing_mm=phase.spacing_mm)
    return [pair for item in cases for pair in prepare_pairs(item, spec_2d)]


def prepare_pairs(labelled: LabelledCase, spec: InputSpec) -> list[TrainingPair]:
    """Prepare the slices of a case that hold tissue, by the same code that serves."""
    preparation = plan_preparation(labelled.volume, spec)
    return [
        TrainingPair(
            image=preparation.apply_channels(labelled.volumes, k),
            mask=preparation.apply_mask(labelled.mask[k]),
        )
        for k in np.flatnonzero(preparation.evaluable).tolist()
    ]
