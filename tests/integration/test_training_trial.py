"""A tiny run of every training command on the real data, and the bundle that comes out of it."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from node.cli.app import app
from node.registry.bundle import load_bundle

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
CHENG, LGG = DATA / "mr_t1ce_cheng", DATA / "mr_flair_lgg"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (CHENG / "slices.zip").is_file(), reason="the shared Cheng data set is not there"
    ),
]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> Path:
    """The shipped recipe, made tiny."""
    content = yaml.safe_load((ROOT / "models/brain-t1ce/recipe.yaml").read_text())
    content["segmenter"] |= {
        "network": {"filters": [4, 8], "fusion_channels": 2, "selective_from": 1},
        "phases": [{"epochs": 1, "spacing_mm": 4.0, "crop": 64}],
        "batch": 4, "validation_slices": 8, "precision": "float32",
    }  # fmt: skip
    content["input"] |= {"spacing_mm": 4.0, "multiple": 2}
    # A network that saw a few slices marks whatever is bright: take every mark for a lesion.
    content["lesions"] = {"threshold": [0.0], "minimum_area_mm2": [0.0], "minimum_peak": [0.0]}
    content["classifier"] |= {
        "population": 4, "generations": 1, "folds": 2, "minimum_overlap": 0.0,
        "profile": "planar-102",
    }  # fmt: skip
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_train_package_evaluate_and_verify(recipe, tmp_path):
    run, models = tmp_path / "run", tmp_path / "models"
    train = ("train", "segmenter", recipe, "--data", CHENG, "--negatives", LGG, "--run", run)
    invoke(*train, "--limit", 8)
    assert (run / "best.keras").is_file()
    assert len((run / "history.csv").read_text().splitlines()) == 2

    longer = yaml.safe_load(recipe.read_text())
    longer["segmenter"]["phases"][0]["epochs"] = 2
    recipe.write_text(yaml.safe_dump(longer))
    invoke(*train, "--limit", 8, "--resume")
    assert json.loads((run / "state.json").read_text())["epochs"] == 2
    assert len((run / "history.csv").read_text().splitlines()) == 3

    classifier = ("train", "classifier", recipe, "--data", CHENG, "--negatives", LGG, "--run", run)
    invoke(*classifier, "--models", models, "--every", 25)
    bundle = load_bundle(models / "brain-t1ce" / "0.2.0")
    card = (bundle.path / "MODEL_CARD.md").read_text()
    metrics = json.loads((bundle.path / "metrics.json").read_text())
    assert f"{metrics['dice']['value']:.3f}" in card
    assert set(metrics["split_patients"]["with_tumour"]) == {"train", "validation", "test"}

    shutil.copytree(ROOT / "dicom_conf", tmp_path / "dicom_conf")
    output = invoke("--config", tmp_path / "dicom_conf", "models", "verify", "brain-t1ce")
    assert "as they should be" in output
