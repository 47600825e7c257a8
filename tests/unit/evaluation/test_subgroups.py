import numpy as np
import pytest

from node.evaluation.subgroups import measure_figure, measure_patient_mean, tabulate_subgroups

PATIENTS = np.array(["a", "a", "a", "b", "c"])
DICE = np.array([0.9, 0.9, 0.9, 0.6, 0.3])


def test_groups_have_means_over_patients_and_empty_ones_are_left_out():
    rows = {
        "all": np.ones(5, bool),
        "first": PATIENTS == "a",
        "none": np.zeros(5, bool),
    }
    table = tabulate_subgroups(rows, PATIENTS, {"dice": DICE}, rng=np.random.default_rng(0))
    assert list(table) == ["all", "first"]
    assert table["all"]["dice"]["value"] == pytest.approx(0.6)
    assert (table["all"]["dice"]["patients"], table["all"]["dice"]["cases"]) == (3, 5)
    assert table["all"]["dice"]["interval_95"] == [0.3, 0.9]
    assert table["first"]["dice"]["interval_95"] == [0.9, 0.9]


def test_undefined_cases_are_left_out_and_nothing_left_is_null():
    values = np.array([np.nan, 0.5, 0.7, np.nan, 0.2])
    everyone = np.ones(5, bool)
    rng = np.random.default_rng(0)
    found = measure_patient_mean(PATIENTS, values, everyone, rng=rng)
    assert found["value"] == pytest.approx(0.4)
    assert (found["patients"], found["cases"]) == (2, 3)
    nothing = measure_patient_mean(PATIENTS, values * np.nan, everyone, rng=rng)
    assert (nothing["value"], nothing["median"], nothing["cases"]) == (None, None, 0)


def test_interval_draws_patients_and_not_cases():
    patients = np.repeat(["a", "b"], 500)
    values = np.repeat([0.0, 1.0], 500)
    found = measure_figure(
        patients,
        np.ones(1000, bool),
        lambda rows: float(values[rows].mean()),
        rng=np.random.default_rng(0),
    )
    assert found["interval_95"] == [0.0, 1.0]
