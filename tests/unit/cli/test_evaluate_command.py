import pytest
from typer.testing import CliRunner

from node.cli.app import app
from node.cli.evaluate import compare_figures

SHIPPED = {"patients": 4, "dice": {"value": 0.75, "interval_95": [0.7, 0.8]}}


def test_the_same_figures_are_said_to_be_the_same():
    assert compare_figures(SHIPPED, SHIPPED) == (
        "All figures in the bundle's metrics.json are measured alike."
    )


def test_other_figures_are_named():
    measured = {"patients": 4, "dice": {"value": 0.76, "interval_95": [0.7, 0.8]}}
    assert (
        compare_figures(measured, SHIPPED) == "Other than in the bundle's metrics.json: dice.value."
    )


def test_figures_that_one_side_lacks_are_named():
    measured = {"patients": 4, "dice": {"value": 0.75}, "hd95_mm": {"value": 2.0, "patients": 4}}
    told = compare_figures(measured, SHIPPED).splitlines()
    assert told == [
        "In the bundle's metrics.json but not measured: dice.interval_95.",
        "Not in the bundle's metrics.json, or not all of it: hd95_mm.",
    ]


def test_a_bundle_cannot_be_measured_without_data():
    done = CliRunner().invoke(app, ["evaluate"])
    assert done.exit_code == 2
    assert "--data" in done.output


@pytest.mark.parametrize("name", ["robustness", "reproducibility", "controls"])
def test_commands_of_evaluate_need_no_options_of_the_group(name):
    done = CliRunner().invoke(app, ["evaluate", name, "--help"])
    assert done.exit_code == 0
    assert name in done.output
