"""What is shipped in models/ is whole, small, and does what its card says."""

import json
from pathlib import Path

import pytest

from node.pipeline import check_golden, open_toolbox
from node.registry.store import ModelStore
from node.training.recipe import load_recipe

MODELS = Path(__file__).resolve().parents[2] / "models"
BUNDLES = ModelStore(MODELS).list()


def test_there_is_a_brain_bundle():
    assert any(name.startswith("brain-t1ce/") for name in BUNDLES)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_whole_and_small(name):
    bundle = ModelStore(MODELS).get(name)
    size = sum(path.stat().st_size for path in bundle.path.rglob("*") if path.is_file())
    assert size < 10_000_000
    recipe = load_recipe(bundle.path / "recipe.yaml")
    assert f"{recipe.task}/{recipe.version}" == name


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_gives_its_golden_output(name):
    check_golden(open_toolbox(ModelStore(MODELS).get(name)))


@pytest.mark.parametrize("name", BUNDLES)
def test_the_card_tells_the_measured_figures(name):
    bundle = ModelStore(MODELS).get(name)
    metrics = json.loads((bundle.path / "metrics.json").read_text())
    card = " ".join((bundle.path / "MODEL_CARD.md").read_text().split())  # lines are wrapped
    told = [metrics["dice"]]
    if bundle.manifest.classifier is not None:
        told.append(metrics["malignancy"]["auc"])
    if bundle.manifest.classifier is not None and bundle.manifest.classifier.types:
        told += [metrics["malignancy_numeric_ids"]["auc"], metrics["type_accuracy"]]
    for figure in told:
        low, high = figure["interval_95"]
        assert f"{figure['value']:.3f} ({low:.3f} to {high:.3f})" in card
    test_patients = metrics["split_patients"]["with_tumour"]["test"]
    assert test_patients == metrics["patients"]
    assert f"{test_patients} test" in card
    assert " ".join(bundle.manifest.licence.split()) in card
