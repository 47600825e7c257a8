"""Outer folds judge what they never saw; the comparison tells it in three files."""

import csv
import json

import numpy as np
import pytest
from factories_tables import QUICK, make_table

from node.evaluation.discrimination import measure_auc
from node.training.compare_classifiers import GENETIC, compare_classifiers
from node.training.comparison_tables import format_markdown, write_comparison
from node.training.learners import Plain, SvmSearch, build_logistic, find_size
from node.training.nested import Learned, nested_cross_validate
from node.training.other_searches import search_random
from node.training.svm_objective import Genome


class Spy:
    """Notes which patients it learns from and which it judges."""

    name = "spy"

    def __init__(self) -> None:
        self.folds: list[tuple[set[str], set[str]]] = []

    def fit(self, table, labels, *, seed):
        learned = set(table.patients)
        spy = self

        class Judge(Learned):
            def predict(self, judged):
                spy.folds.append((learned, set(judged.patients)))
                return np.full((len(judged.patients), 2), 0.5)

        assert max(np.unique(table.patients, return_counts=True)[1]) <= QUICK.slices_per_patient
        return Judge(estimator=None, features=0)


def test_every_patient_is_judged_once_by_a_learner_that_never_saw_them():
    table = make_table(patients=30, slices=6)
    spy = Spy()
    result = nested_cross_validate(table, "malignant", spy, settings=QUICK, outer_folds=3, seed=2)
    assert len(spy.folds) == 3
    assert all(not learned & judged for learned, judged in spy.folds)
    judged = [patient for _, patients in spy.folds for patient in patients]
    assert sorted(judged) == sorted(set(table.patients))
    assert len(result.labels) == len(table.patients)


def test_rows_are_judged_with_their_own_probability():
    table = make_table(patients=30, slices=2)
    learner = Plain(name="plain", build=build_logistic, settings=QUICK)
    result = nested_cross_validate(table, "malignant", learner, settings=QUICK, seed=2)
    correct = (result.probability[:, 1] > 0.5) == result.labels
    assert correct.mean() > 0.85
    assert np.allclose(result.probability.sum(axis=1), 1)


def test_noise_is_judged_as_noise_although_the_search_found_something():
    rng = np.random.default_rng(5)
    table = make_table(patients=24, slices=1, features=30)
    table = make_table(patients=24, slices=1, features=30, values=rng.normal(size=(24, 30)))
    learner = SvmSearch(name="random", search=search_random, settings=QUICK, evaluations=25)
    result = nested_cross_validate(
        table, "malignant", learner, settings=QUICK, outer_folds=3, seed=2
    )
    inner = np.mean([one.fitness for one in result.learned])
    outer = ((result.probability[:, 1] > 0.5) == result.labels).mean()
    assert inner > 0.7
    assert outer < inner


def test_the_smoothest_svm_is_judged_by_its_ranks_and_not_by_its_intercepts():
    """All its support vectors are at their bound: decision values of two folds do not compare."""
    table = make_table(patients=120, slices=1)
    smooth = Genome(kernel="rbf", log2_c=-6.0, log2_gamma=-8.0, columns=(0, 1, 2))

    def search(objective, *, seed):
        objective.judge(smooth)

    learner = SvmSearch(name="smooth", search=search, settings=QUICK, evaluations=1)
    for seed in range(4):
        result = nested_cross_validate(table, "malignant", learner, settings=QUICK, seed=seed)
        auc = measure_auc(result.labels, result.probability[:, 1], result.classes)
        assert auc > 0.9
        assert np.ptp(result.probability[:, 1]) > 0.5


def test_lesions_without_truth_or_features_are_left_out():
    table = make_table(patients=30, slices=2)
    values = table.values.copy()
    values[0] = np.nan
    values[1, 2] = np.nan
    overlap = np.ones(60)
    overlap[2] = 0.05
    labelled = np.ones(60, bool)
    labelled[3] = False
    changed = make_table(patients=30, slices=2, values=values, overlap=overlap, labelled=labelled)
    learner = Plain(name="plain", build=build_logistic, settings=QUICK)
    # One lesion in 57 lacks feature 2: above the limit the feature goes, below it the lesion.
    strict = QUICK.model_copy(update={"undefined_limit": 0.0})
    for settings, left in ((QUICK, 56), (strict, 57)):
        result = nested_cross_validate(
            changed, "malignant", learner, settings=settings, outer_folds=3, seed=2
        )
        assert len(result.labels) == left


def test_an_unknown_target_is_a_bug():
    learner = Plain(name="plain", build=build_logistic, settings=QUICK)
    with pytest.raises(ValueError, match="unknown target"):
        nested_cross_validate(make_table(), "grade", learner, settings=QUICK, seed=1)


def test_size_is_found_where_it_is_defined():
    names = ("original_shape_MeshVolume", "original_shape2D_MeshSurface", *"abcdef")
    table = make_table(names=names)
    assert find_size(table) == names[0]
    values = table.values.copy()
    values[:, 0] = np.nan
    assert find_size(make_table(names=names, values=values)) == names[1]
    assert find_size(make_table()) == ""


@pytest.fixture(scope="module")
def comparison():
    table = make_table(patients=30, slices=2, features=4)
    names = ("original_shape2D_PixelSurface", "b", "c", "d")
    table = make_table(
        patients=30,
        slices=2,
        features=4,
        names=names,
        handmade_names=("x", "y"),
        handmade=table.values[:, :2],
    )
    return compare_classifiers(
        table,
        "malignant",
        settings=QUICK.model_copy(update={"folds": 2}),
        evaluations=4,
        outer_folds=2,
        seed=3,
        groups={"early": lambda patient: patient < "p015", "nobody": lambda _: False},
        draws=50,
    )


def test_every_control_is_judged_on_the_same_lesions(comparison):
    rows = [row for row in comparison.rows if row.group == "all"]
    assert [row.name for row in rows] == [
        GENETIC,
        "SVM, default",
        "SVM, grid search",
        "SVM, random search",
        "SVM, TPE search",
        "logistic regression",
        "random forest",
        "size alone, logistic regression",
        "hand-made features, genetic search",
    ]
    assert {(row.patients, row.lesions) for row in rows} == {(30, 60)}
    searched = [row for row in rows if "search" in row.name]
    assert all(1 < row.evaluations <= 4 for row in searched)
    assert rows[0].auc_gain is None
    default = rows[1]
    gap = rows[0].figures["auc"].value - default.figures["auc"].value
    assert default.auc_gain.value == pytest.approx(gap)
    for row in rows:
        low, high = row.figures["auc"].interval_95
        assert low <= row.figures["auc"].value <= high
        assert row.seconds > 0
    assert {row.patients for row in comparison.rows if row.group == "early"} == {15}
    assert "nobody" in str(comparison.left_out)


def test_the_table_is_written_three_times_with_the_same_figures(comparison, tmp_path):
    paths = {path.suffix: path for path in write_comparison(comparison, tmp_path)}
    auc = comparison.rows[0].figures["auc"].value
    rows = list(csv.DictReader(paths[".csv"].open()))
    assert float(rows[0]["auc"]) == pytest.approx(auc, abs=1e-6)
    assert len(rows) == len(comparison.rows)
    content = json.loads(paths[".json"].read_text())
    assert content["rows"][0]["figures"]["auc"]["value"] == pytest.approx(auc)
    assert content["rows"][5]["fitness"] is None
    text = paths[".md"].read_text()
    assert text == format_markdown(comparison)
    assert f"| {GENETIC} | {auc:.3f} (" in text


def test_what_a_table_lacks_is_left_out_with_a_reason():
    table = make_table(patients=30, slices=1, features=3)
    comparison = compare_classifiers(
        table,
        "type",
        settings=QUICK.model_copy(update={"folds": 2}),
        evaluations=2,
        outer_folds=2,
        seed=3,
        draws=10,
    )
    assert "without hand-made" in comparison.left_out["hand-made features, genetic search"]
    assert "volume or area" in comparison.left_out["size alone, logistic regression"]
    assert comparison.rows[0].figures["auc"].value > 0.8
