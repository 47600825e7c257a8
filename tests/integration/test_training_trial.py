"""A tiny run of every training command on the real data, and the bundle that comes out of it."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from node.cli.app import app
from node.registry.bundle import load_bundle
from node.training.recipe import load_recipe
from node.training.segmenter import read_dataset, split_cases

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Trial:
    """A shipped recipe made tiny, and how much of its data set is used."""

    task: str
    data: Path
    negatives: Path | None
    changes: dict[str, Any]
    every: int

    def write_recipe(self, folder: Path, *, epochs: int) -> Path:
        content = yaml.safe_load((ROOT / "models" / self.task / "recipe.yaml").read_text())
        phase = {"epochs": epochs, "spacing_mm": 4.0, "crop": 64}
        content["segmenter"] |= {
            "network": {"filters": [4, 8], "fusion_channels": 2, "selective_from": 1},
            "phases": [phase],
            "batch": 4, "validation_slices": 8, "precision": "float32",
        }  # fmt: skip
        # A network that saw a few slices marks whatever is bright: take every mark for a lesion.
        content["lesions"] = {
            "threshold": [0.0], "minimum_area_mm2": [0.0], "minimum_peak": [0.0],
        }  # fmt: skip
        for section, values in self.changes.items():
            content[section] |= values
        path = folder / "recipe.yaml"
        path.write_text(yaml.safe_dump(content))
        return path


TINY_SEARCH = {"population": 4, "generations": 1, "folds": 2, "minimum_overlap": 0.0}
TRIALS = [
    Trial(
        "brain-t1ce",
        DATA / "mr_t1ce_cheng",
        DATA / "mr_flair_lgg",
        {
            "input": {"spacing_mm": 4.0, "multiple": 2},
            "classifier": {**TINY_SEARCH, "profile": "planar-102"},
        },
        every=25,
    ),
    Trial(
        "brain-multiseq",
        DATA / "mr_flair_lgg",
        None,
        {"input": {"spacing_mm": 4.0, "multiple": 2}},
        every=8,
    ),
    Trial(
        "lung-nodule-ct",
        DATA / "ct_nodules_lidc",
        None,
        {"nodule": {"spacing_mm": 2.0, "size": 16}, "classifier": TINY_SEARCH},
        every=8,
    ),
]


def invoke(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.task)
def test_train_package_and_verify(trial, tmp_path):
    if not trial.data.is_dir():
        pytest.skip(f"the shared data set {trial.data.name} is not there")
    run, models = tmp_path / "run", tmp_path / "models"
    recipe = trial.write_recipe(tmp_path, epochs=1)
    sets = ["--data", trial.data, *(["--negatives", trial.negatives] if trial.negatives else [])]
    invoke("train", "segmenter", recipe, *sets, "--run", run, "--limit", 4)
    assert (run / "best.keras").is_file()
    assert len((run / "history.csv").read_text().splitlines()) == 2

    recipe = trial.write_recipe(tmp_path, epochs=2)
    invoke("train", "segmenter", recipe, *sets, "--run", run, "--limit", 4, "--resume")
    assert json.loads((run / "state.json").read_text())["epochs"] == 2
    assert len((run / "history.csv").read_text().splitlines()) == 3

    invoke(
        "train", "classifier", recipe, *sets, "--run", run, "--models", models,
        "--every", trial.every,
    )  # fmt: skip
    (folder,) = (models / trial.task).iterdir()
    bundle = load_bundle(folder)
    card = (bundle.path / "MODEL_CARD.md").read_text()
    metrics = json.loads((bundle.path / "metrics.json").read_text())
    assert f"{metrics['dice']['value']:.3f}" in card
    assert set(metrics["split_patients"]["with_tumour"]) == {"train", "validation", "test"}
    assert (bundle.path / "report.html").read_text().startswith("<!doctype html>")
    shown = re.findall(r"!\[.+\]\((plots/.+\.png)\)", card)
    assert shown
    assert all((bundle.path / name).read_bytes().startswith(b"\x89PNG") for name in shown)
    assert (bundle.path / "plots" / "projection.npz").exists() == bool(bundle.manifest.classifier)

    config = tmp_path / "dicom_conf"
    shutil.copytree(ROOT / "dicom_conf", config)
    rule = {
        "name": "all",
        "match": {"modality": ["CT", "MR"]},
        "bundle": trial.task,
        "destinations": ["pacs"],
    }
    (config / "routing.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
    output = invoke("--config", config, "models", "verify", trial.task)
    assert "as they should be" in output


def test_the_parts_of_the_network_are_compared(tmp_path):
    trial = TRIALS[0]
    if not trial.data.is_dir():
        pytest.skip(f"the shared data set {trial.data.name} is not there")
    recipe = trial.write_recipe(tmp_path, epochs=1)
    content = yaml.safe_load(recipe.read_text())
    recipe.write_text(yaml.safe_dump(content | {"ablation": content["segmenter"]["phases"]}))
    output = invoke(
        "train", "ablation", recipe, "--data", trial.data, "--negatives", trial.negatives,
        "--run", tmp_path / "run", "--limit", 4,
        "--only", "plain U-Net", "--only", "+ deep supervision (MSA-ResUNet)",
    )  # fmt: skip
    assert "plain U-Net" in output
    rows = json.loads((tmp_path / "run" / "ablation.json").read_text())["variants"]
    assert rows["plain U-Net"]["comparison"]["mean_difference"] == 0
    assert len(rows) == 2


@pytest.fixture
def with_short_phases(tmp_path):
    """A tiny recipe whose ablation phases are its own, and the options that name its data."""
    trial = TRIALS[1]
    if not trial.data.is_dir():
        pytest.skip(f"the shared data set {trial.data.name} is not there")
    recipe = trial.write_recipe(tmp_path, epochs=1)
    content = yaml.safe_load(recipe.read_text())
    content["ablation"] = content["segmenter"]["phases"]
    content["losses"] = {"focal": {"focal_gamma": 2.0}}
    recipe.write_text(yaml.safe_dump(content))
    run = tmp_path / "run"
    return recipe, run, [recipe, "--data", trial.data, "--run", run, "--limit", 2]


def test_losses_are_compared_on_validation_patients(with_short_phases):
    _, run, options = with_short_phases
    output = invoke("train", "losses", *options)
    assert "focal" in output
    rows = json.loads((run / "losses.json").read_text())
    assert rows["the recipe's own"]["comparison"]["mean_difference"] == 0
    assert {path.name for path in run.glob("*/validation_dice.npz")} == {"validation_dice.npz"}
    assert rows["focal"]["score"] == pytest.approx(
        (rows["focal"]["dice"] + rows["focal"]["quiet"]) / 2
    )


def test_cross_validation_judges_each_patient_once_and_no_test_patient(with_short_phases):
    recipe, run, options = with_short_phases
    invoke("train", "crossvalidate", *options, "--folds", 3, "--short")
    summary = json.loads((run / "crossvalidation.json").read_text())
    judged = [
        set(np.load(path, allow_pickle=False)["patients"].tolist())
        for path in sorted(run.glob("fold-*/judged_dice.npz"))
    ]
    assert [len(patients) for patients in judged] == [2, 2, 2]
    assert len(set.union(*judged)) == 6 == summary["patients"]
    settings = load_recipe(recipe)
    parts = split_cases(read_dataset(settings, TRIALS[1].data), settings)
    assert {parts[patient] for patient in set.union(*judged)} <= {"train", "validation"}
