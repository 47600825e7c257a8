"""The command that compares the genetic search with its control groups."""

import json

from factories_tables import make_table
from typer.testing import CliRunner

from node.cli.app import app


def invoke(*arguments: object):
    return CliRunner().invoke(app, ["evaluate", "controls", *[str(a) for a in arguments]])


def test_it_reads_the_run_and_writes_the_table(tmp_path):
    make_table(patients=24, slices=1, features=3).save(tmp_path / "features.npz")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "task: trial\nversion: 0.0.1\ndataset: cheng\nfractions: {train: 1.0}\nbundle: {}\n"
        "classifier: {folds: 2, population: 4, scaling: standard}\n"
    )
    done = invoke(
        "--run", tmp_path, "--evaluations", 2, "--outer", 2, "--recipe", recipe, "--target", "type"
    )
    assert done.exit_code == 0, done.output
    assert "SVM, genetic search" in done.output
    assert "left out" in done.output
    written = json.loads((tmp_path / "controls" / "controls-type.json").read_text())
    assert written["settings"]["inner_folds"] == 2
    assert written["settings"]["evaluations"] == 2


def test_a_run_without_features_says_what_to_do(tmp_path):
    done = invoke("--run", tmp_path)
    assert done.exit_code != 0
    assert "train classifier" in str(done.exception) + done.output
