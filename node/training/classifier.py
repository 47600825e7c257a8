"""``onconode train classifier``: features of predicted masks, search, calibration, bundle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from node.domain.errors import SetupFault
from node.evaluation.slice_figures import measure_slices
from node.pipeline import open_toolbox
from node.radiomics.extract import ExtractionSpec, Extractor
from node.radiomics.profiles import PROFILES
from node.registry.bundle import Bundle
from node.segment.lesions import LesionSpec
from node.segment.network import Network
from node.segment.preprocess import InputSpec
from node.training.datasets import LabelledSlice
from node.training.feature_table import FeatureTable, build_feature_table
from node.training.fit_svm import fit_classifier
from node.training.judge import judge_slices
from node.training.model_card import write_card
from node.training.package import add_golden, export_network, reseal, write_bundle
from node.training.recipe import Recipe, load_recipe
from node.training.segmenter import read_dataset, split_slices

log = structlog.get_logger()


def train_classifier(
    recipe_path: Path, *, data_dir: Path, run_dir: Path, models_dir: Path, every: int = 1
) -> Bundle:
    """Train the classifier on the segmenter's own masks, and package the bundle.

    Parameters
    ----------
    recipe_path, data_dir : Path
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
    network = run_dir / "network.float32.keras"
    export_network(checkpoint, recipe, network)
    slices = read_dataset(recipe, data_dir)
    parts = split_slices(slices, recipe)
    slices = slices[::every]
    table = _features(recipe, slices, parts, network, run_dir / "features.npz")
    fitted = fit_classifier(table, settings=recipe.classifier, seed=recipe.seed)
    bundle = write_bundle(
        models_dir / recipe.task / recipe.version,
        recipe_path=recipe_path,
        recipe=recipe,
        network=network,
        fitted=fitted,
    )
    test = [item for item in slices if parts[item.patient] == "test"]
    bundle = add_golden(bundle, test)
    figures = evaluate_slices(bundle, test, recipe, parts)
    (bundle.path / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    write_card(bundle, recipe, figures)
    return reseal(bundle)


def evaluate_slices(
    bundle: Bundle, test: list[LabelledSlice], recipe: Recipe, parts: dict[str, str]
) -> dict[str, Any]:
    """Figures of a bundle on its test patients, with the sizes of the split."""
    names, counts = np.unique(list(parts.values()), return_counts=True)
    split = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    results = judge_slices(test, open_toolbox(bundle))
    return {"split_patients": split, **measure_slices(results, seed=recipe.seed)}


def evaluate_bundle(bundle: Bundle, *, data_dir: Path) -> dict[str, Any]:
    """Measure a bundle again on the test patients of its own recipe, from the data set."""
    recipe = load_recipe(bundle.path / "recipe.yaml")
    slices = read_dataset(recipe, data_dir)
    parts = split_slices(slices, recipe)
    test = [item for item in slices if parts[item.patient] == "test"]
    return evaluate_slices(bundle, test, recipe, parts)


def _features(
    recipe: Recipe,
    slices: list[LabelledSlice],
    parts: dict[str, str],
    network: Path,
    cache: Path,
) -> FeatureTable:
    """Build the feature table of training and validation patients, or take it from the run."""
    if cache.exists() and cache.stat().st_mtime > network.with_name("best.keras").stat().st_mtime:
        log.info("features.reused", file=cache.name)
        return FeatureTable.load(cache)
    settings = recipe.classifier
    table = build_feature_table(
        [item for item in slices if parts[item.patient] != "test"],
        parts,
        network=Network.load(network, InputSpec(**recipe.input.model_dump())),
        lesions=LesionSpec(**recipe.lesions),
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
