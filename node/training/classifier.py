"""``onconode train classifier``: features of predicted masks, search, calibration, bundle."""

import json
from pathlib import Path

import structlog

from node.domain.errors import SetupFault
from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.profiles import PROFILES
from node.registry.bundle import Bundle
from node.segment.lesions import LesionSpec
from node.segment.network import Network
from node.segment.preprocess import InputSpec
from node.training.choose_lesions import choose_lesions, read_choice, write_choice
from node.training.datasets.labelled import LabelledCase
from node.training.feature_table import FeatureTable, build_feature_table
from node.training.fit_svm import fit_classifier
from node.training.judge_bundle import choose_test_set, judge_test_set
from node.training.model_card import write_card
from node.training.package import add_golden, export_network, reseal, write_bundle
from node.training.recipe import Recipe, load_recipe
from node.training.segmenter import read_dataset, read_negatives, split_cases

log = structlog.get_logger()


def train_classifier(
    recipe_path: Path,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    run_dir: Path,
    models_dir: Path,
    every: int = 1,
) -> Bundle:
    """Train the classifier on the segmenter's own masks, and package the bundle.

    Parameters
    ----------
    recipe_path, data_dir : Path
    negatives_dir : Path or None
        Needed if the recipe asks for tumour-free slices.
    run_dir : Path
        Of the segmenter's training; ``best.keras`` is taken from it.
    models_dir : Path
        The bundle goes to ``<models_dir>/<task>/<version>``.
    every : int
        Use every n-th slice only (for a quick trial).

    Raises
    ------
    SetupFault
        If there is no trained segmenter, or the version was packaged already.
    """
    recipe = load_recipe(recipe_path)
    checkpoint = run_dir / "best.keras"
    if not checkpoint.exists():
        raise SetupFault(f"no best.keras in {run_dir}: run `onconode train segmenter` first")
    exported = run_dir / "network.float32.keras"
    export_network(checkpoint, recipe, exported)
    network = Network.load(exported, InputSpec(**recipe.input.model_dump()))
    slices = read_dataset(recipe, data_dir)
    negatives = read_negatives(recipe, negatives_dir)
    parts = {**split_cases(slices, recipe), **split_cases(negatives, recipe)}
    slices, negatives = slices[::every], negatives[::every]
    lesions = _lesions(recipe, [*slices, *negatives], parts, network, run_dir)
    table = _features(recipe, slices, parts, network=network, lesions=lesions, run_dir=run_dir)
    fitted = fit_classifier(table, settings=recipe.classifier, seed=recipe.seed)
    bundle = write_bundle(
        models_dir / recipe.task / recipe.version,
        recipe_path=recipe_path,
        recipe=recipe,
        network=exported,
        lesions=lesions,
        fitted=fitted,
    )
    bundle = add_golden(bundle, [item for item in slices if parts[item.patient] == "test"])
    figures = judge_test_set(
        bundle, choose_test_set(slices, negatives, parts, seed=recipe.seed)
    ).figures
    (bundle.path / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    write_card(bundle, recipe, figures)
    return reseal(bundle)


def _is_newer(cache: Path, run_dir: Path) -> bool:
    """Tell whether a file was made after the network of the run."""
    made_for = (run_dir / "best.keras").stat().st_mtime
    return cache.exists() and cache.stat().st_mtime > made_for


def _lesions(
    recipe: Recipe,
    slices: list[LabelledCase],
    parts: dict[str, str],
    network: Network,
    run_dir: Path,
) -> LesionSpec:
    """Choose what counts as a lesion, or take the choice from the run."""
    cache = run_dir / "lesions.json"
    if not _is_newer(cache, run_dir):
        spec, figures = choose_lesions(
            [item for item in slices if parts[item.patient] == "validation"],
            network=network,
            candidates=recipe.lesions.model_dump(),
        )
        write_choice(cache, spec, figures)
    return read_choice(cache)


def _features(
    recipe: Recipe,
    slices: list[LabelledCase],
    parts: dict[str, str],
    *,
    network: Network,
    lesions: LesionSpec,
    run_dir: Path,
) -> FeatureTable:
    """Build the feature table of training and validation patients, or take it from the run."""
    cache = run_dir / "features.npz"
    if _is_newer(cache, run_dir):
        log.info("features.reused", file=cache.name)
        return FeatureTable.load(cache)
    settings = recipe.classifier
    table = build_feature_table(
        [item for item in slices if parts[item.patient] != "test"],
        parts,
        network=network,
        lesions=lesions,
        extractor=Extractor(
            ExtractionSpec(
                profile=PROFILES[settings.profile],
                spacing_mm=recipe.input.spacing_mm,
                bin_width=settings.bin_width,
                foreground_fraction=recipe.input.foreground_fraction,
            )
        ),
    )
    table.save(cache)
    return table
