"""``onconode train classifier`` and ``train package``: from a trained network to a bundle."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from node.domain.errors import SetupFault
from node.radiomics.extract import Extractor
from node.registry.bundle import Bundle
from node.registry.manifest import ClassifierEntry
from node.segment.lesions import LesionSpec
from node.toolbox import extraction_spec
from node.training.choose_lesions import choose_lesions, read_choice, write_choice
from node.training.classifier_record import write_classifier_record
from node.training.datasets.labelled import LabelledCase
from node.training.feature_choice import read_reproducibility
from node.training.feature_table import FeatureTable, build_feature_table
from node.training.fit_svm import FittedClassifier, fit_classifier
from node.training.judge_bundle import choose_test_set, judge_test_set
from node.training.judge_report import draw_failures, write_bundle_report
from node.training.model_card import write_card
from node.training.package import (
    add_golden,
    export_network,
    extraction_entry,
    reseal,
    write_bundle,
)
from node.training.recipe import ClassifierRecipe, Recipe, load_recipe
from node.training.segment_cases import CaseSegmenter, open_segmenter
from node.training.segmenter import read_dataset, read_negatives, split_cases

log = structlog.get_logger()

PLOTS = "plots"
REPORT = "report.html"
LESIONS = "lesions.json"


def train_classifier(
    recipe_path: Path,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    run_dir: Path,
    models_dir: Path,
    every: int = 1,
) -> Bundle:
    """Train the classifier on the segmenter's own masks, if the recipe has one, and package.

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
        Use every n-th case only (for a quick trial).

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
    segmenter = open_segmenter(recipe, exported)
    cases = read_dataset(recipe, data_dir)
    negatives = read_negatives(recipe, negatives_dir)
    parts = {**split_cases(cases, recipe), **split_cases(negatives, recipe)}
    cases, negatives = cases[::every], negatives[::every]
    lesions = _choose_lesions(recipe, [*cases, *negatives], parts, segmenter, run_dir)
    fitted = None
    if recipe.classifier is not None:
        table = _make_features(
            [item for item in cases if parts[item.patient] != "test"],
            parts,
            extractor=_make_extractor(recipe, recipe.classifier),
            segmenter=segmenter,
            lesions=lesions,
            run_dir=run_dir,
        )
        fitted = fit_classifier(
            table,
            settings=recipe.classifier,
            seed=recipe.seed,
            icc=read_reproducibility(recipe_path.parent / recipe.classifier.reproducibility)
            if recipe.classifier.reproducibility
            else None,
        )
    bundle = write_bundle(
        models_dir / recipe.task / recipe.version,
        recipe_path=recipe_path,
        recipe=recipe,
        network=exported,
        lesions=lesions,
        fitted=fitted,
    )
    bundle = add_golden(bundle, [item for item in cases if parts[item.patient] == "test"])
    return _measure(bundle, recipe, fitted, choose_from=(cases, negatives, parts))


def _measure(
    bundle: Bundle,
    recipe: Recipe,
    fitted: FittedClassifier | None,
    *,
    choose_from: tuple[list[LabelledCase], list[LabelledCase], dict[str, str]],
) -> Bundle:
    """Judge the bundle on its test patients, and write figures, plots, report and card."""
    judged = judge_test_set(bundle, choose_test_set(*choose_from, seed=recipe.seed))
    (bundle.path / "metrics.json").write_text(json.dumps(judged.figures, indent=1) + "\n")
    record: Mapping[str, Any] = {}
    if fitted is not None and recipe.classifier is not None:
        record = write_classifier_record(
            fitted, bundle.path / PLOTS, settings=recipe.classifier, seed=recipe.seed
        )
        (bundle.path / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    failures = draw_failures(judged)
    for number, picture in enumerate(failures, start=1):
        (bundle.path / PLOTS).mkdir(exist_ok=True)
        (bundle.path / PLOTS / f"failures-{number}.png").write_bytes(picture.png)
    write_bundle_report(bundle.path / REPORT, bundle, judged, failures=failures)
    write_card(bundle, recipe, judged.figures, failures=[one.caption for one in failures])
    return reseal(bundle)


def _is_newer(cache: Path, run_dir: Path) -> bool:
    """Tell whether a file was made after the network of the run."""
    made_for = (run_dir / "best.keras").stat().st_mtime
    return cache.exists() and cache.stat().st_mtime > made_for


def _is_as_new(cache: Path, other: Path) -> bool:
    return cache.stat().st_mtime >= other.stat().st_mtime


def _choose_lesions(
    recipe: Recipe,
    cases: list[LabelledCase],
    parts: dict[str, str],
    segmenter: CaseSegmenter,
    run_dir: Path,
) -> LesionSpec:
    """Choose what counts as a lesion, or take the choice from the run."""
    cache = run_dir / LESIONS
    if not _is_newer(cache, run_dir):
        spec, figures = choose_lesions(
            [item for item in cases if parts[item.patient] == "validation"],
            segmenter=segmenter,
            candidates=recipe.lesions.model_dump(),
        )
        write_choice(cache, spec, figures)
    return read_choice(cache)


def _make_extractor(recipe: Recipe, settings: ClassifierRecipe) -> Extractor:
    entry = ClassifierEntry(
        **extraction_entry(recipe, settings), abstain_low=0, abstain_high=1, novelty_limit=0
    )
    return Extractor(extraction_spec(entry))


def _make_features(
    cases: list[LabelledCase],
    parts: dict[str, str],
    *,
    extractor: Extractor,
    segmenter: CaseSegmenter,
    lesions: LesionSpec,
    run_dir: Path,
) -> FeatureTable:
    """Build the feature table of training and validation patients, or take it from the run."""
    cache = run_dir / "features.npz"
    if _is_newer(cache, run_dir) and _is_as_new(cache, run_dir / LESIONS):
        table = FeatureTable.load(cache)
        if table.names == extractor.names:
            log.info("features.reused", file=cache.name)
            return table
    table = build_feature_table(
        cases, parts, segmenter=segmenter, lesions=lesions, extractor=extractor
    )
    table.save(cache)
    return table
