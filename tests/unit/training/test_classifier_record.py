"""What is kept of a fit: plots, tables, and figures from validation patients."""

import csv

import numpy as np
import pytest
from factories_tables import QUICK, make_table

from node.classify.projection import Projection
from node.training.classifier_record import write_classifier_record
from node.training.fit_svm import fit_classifier


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    directory = tmp_path_factory.mktemp("record")
    fitted = fit_classifier(make_table(patients=45), settings=QUICK, seed=4)
    return directory, fitted, write_classifier_record(fitted, directory, settings=QUICK, seed=4)


def test_every_plot_is_a_png(record):
    directory, _, _ = record
    for name in ("convergence", "reliability", "importance", "projection"):
        assert (directory / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n", name


def test_the_csv_of_the_search_tells_every_generation(record):
    directory, fitted, _ = record
    rows = list(csv.DictReader((directory / "search-malignancy.csv").open()))
    assert len(rows) == QUICK.generations + 1
    assert float(rows[-1]["best"]) == pytest.approx(fitted.malignancy_search.fitness, abs=1e-4)


def test_every_feature_is_accounted_for(record):
    directory, fitted, _ = record
    rows = {row["feature"]: row for row in csv.DictReader((directory / "features.csv").open())}
    assert tuple(rows) == fitted.classifier.names
    used = [name for name, row in rows.items() if "malignancy" in row["used_for"]]
    assert used == [fitted.classifier.names[i] for i in fitted.classifier.malignancy_columns]


def test_figures_are_of_validation_patients(record):
    _, fitted, figures = record
    assert figures["abstention"]["lesions"] == len(fitted.calibrating.patients)
    assert 0 <= figures["abstention"]["coverage"]["value"] <= 1
    assert "feature_0" in figures["importance"][0]["features"]
    counted = sum(one["count"] for one in figures["calibration"]["bins"])
    assert counted == len(fitted.calibrating.patients)


def test_the_projection_holds_the_training_lesions(record):
    directory, fitted, _ = record
    projection = Projection.load(directory / "projection.npz")
    assert len(projection.labels) == len(fitted.fitting.patients)
    assert set(projection.labels) == {"glioma", "meningioma", "pituitary"}
    assert np.isfinite(projection.tsne).all()
