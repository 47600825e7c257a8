"""Figures by patient, with intervals."""

import numpy as np
import pytest

from node.evaluation.discrimination import bootstrap_interval, measure_auc
from node.evaluation.overlap import measure_dice
from node.evaluation.slice_figures import SliceResults, measure_slices


def make_results(**changes) -> SliceResults:
    """Four patients with two slices each; patient 3 was missed."""
    columns = {
        "patients": np.repeat(["100", "MR1", "102", "103"], 2),
        "tumour_types": np.repeat(["meningioma", "glioma", "glioma", "pituitary"], 2),
        "malignant": np.repeat([False, True, True, False], 2),
        "dice": np.array([0.9, 0.7, 0.8, 0.8, 0.0, 0.0, 1.0, 0.6]),
        "found": np.repeat([True, True, False, True], 2),
        "hit": np.repeat([True, True, False, True], 2),
        "probability": np.array([0.1, 0.2, 0.9, 0.7, np.nan, np.nan, 0.3, 0.8]),
        "decided": np.array([True, True, True, True, False, False, True, False]),
        "predicted_types": np.array(
            ["meningioma", "glioma", "glioma", "glioma", "", "", "pituitary", "glioma"]
        ),
    }
    return SliceResults(**{**columns, **changes})


def test_dice_of_known_masks():
    first, second = np.zeros((4, 4)), np.zeros((4, 4))
    assert measure_dice(first, second) == 1
    first[0] = second[0, :2] = 1
    assert measure_dice(first, second) == pytest.approx(2 * 2 / 6)
    assert measure_dice(first, np.zeros((4, 4))) == 0


def test_dice_counts_patients_and_missed_slices():
    figures = measure_slices(make_results(), seed=1)
    assert figures["dice"]["value"] == pytest.approx((0.8 + 0.8 + 0.0 + 0.8) / 4)
    assert figures["dice"]["patients"] == 4
    assert figures["dice_by_type"]["glioma"]["value"] == pytest.approx(0.4)
    assert figures["detection"]["value"] == 0.75


def test_classification_figures():
    malignancy = measure_slices(make_results(), seed=1)["malignancy"]
    # Of 4 benign x 2 malignant pairs only 0.7 against 0.8 is in the wrong order.
    assert malignancy["auc"]["value"] == pytest.approx(7 / 8)
    assert malignancy["accuracy"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert malignancy["sensitivity"]["value"] == 1
    assert malignancy["specificity"]["value"] == 0.75
    assert malignancy["auc_by_patient"]["patients"] == 3
    assert malignancy["decided"]["value"] == pytest.approx(5 / 6, abs=1e-4)
    assert malignancy["accuracy_where_decided"]["value"] == 1
    numeric = measure_slices(make_results(), seed=1)["malignancy_numeric_ids"]
    assert numeric["accuracy"]["slices"] == 4


def test_a_seed_gives_the_same_intervals():
    assert measure_slices(make_results(), seed=2) == measure_slices(make_results(), seed=2)


def test_the_bootstrap_draws_patients_not_slices():
    patients = np.repeat(np.arange(40), 50)
    values = np.repeat(np.random.default_rng(1).normal(size=40), 50)
    low, high = bootstrap_interval(
        patients, lambda rows: float(values[rows].mean()), rng=np.random.default_rng(2)
    )
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(40), rel=0.2)


def test_auc_of_several_classes_is_the_mean_against_the_rest():
    labels = np.array(["a", "b", "c", "a", "b", "c"])
    scores = np.eye(3)[[0, 1, 2, 0, 1, 0]]
    assert measure_auc(labels, scores, np.array(["a", "b", "c"])) == pytest.approx(
        np.mean([7 / 8, 1.0, 0.75])
    )
