"""Nested cross-validation by patient: outer folds judge what inner folds have chosen.

A search that is scored on the folds it has chosen by looks better than it is. Here everything that
learns from data (choice of features, search, scaling, SVM, calibration) is done anew for each
outer fold, on the patients outside of it.

References
----------
Cawley, Talbot, JMLR 11, 2010 (selection bias); Varma, Simon, BMC Bioinformatics 7, 2006,
doi:10.1186/1471-2105-7-91.
"""

import time
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from node.training.feature_choice import complete_rows, defined_columns
from node.training.feature_table import FeatureTable
from node.training.fit_svm import find_true_lesions, thin_patients
from node.training.recipe import ClassifierRecipe
from node.training.svm_objective import split_by_patient

TARGETS = ("malignant", "type")


class Learner(Protocol):
    """Something that learns to classify the rows of a table."""

    @property
    def name(self) -> str:
        """For tables."""

    def fit(self, table: FeatureTable, labels: NDArray[Any], *, seed: int) -> "Learned":
        """Learn from all rows of the table; choose whatever must be chosen inside."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Learned:
    """A fitted classifier that reads rows of a table.

    Parameters
    ----------
    estimator : estimator
        With ``predict_proba`` over the sorted classes.
    source : str
        Field of the table that holds its features.
    features : int
        How many of them it uses.
    evaluations : int
        Candidates that were cross-validated to find it.
    fitness : float
        What its own search thought of it; NaN without a search.
    """

    estimator: Any
    source: str = "values"
    features: int
    evaluations: int = 0
    fitness: float = float("nan")

    def predict(self, table: FeatureTable) -> NDArray[np.float64]:
        """Probabilities, shape (n, classes)."""
        return np.asarray(self.estimator.predict_proba(getattr(table, self.source)))


@dataclass(frozen=True, kw_only=True, eq=False)
class NestedResult:
    """What a learner says of lesions of patients that it did not see.

    Parameters
    ----------
    identifiers, patients, labels : ndarray, shape (n,)
    classes : ndarray
        Sorted labels.
    probability : ndarray of float64, shape (n, classes)
    fold : ndarray of int64, shape (n,)
        Outer fold in which the row was judged.
    learned : tuple of Learned
        One for each outer fold.
    seconds : float
        For fitting, over all folds.
    """

    identifiers: NDArray[np.str_]
    patients: NDArray[np.str_]
    labels: NDArray[Any]
    classes: NDArray[Any]
    probability: NDArray[np.float64]
    fold: NDArray[np.int64]
    learned: tuple[Learned, ...]
    seconds: float


def choose_rows(table: FeatureTable, settings: ClassifierRecipe) -> FeatureTable:
    """Rows that every learner can be judged on: true, labelled lesions with defined features.

    A feature that is undefined in too many lesions is taken away from all of them; one that is
    undefined in few costs those few, as in service. No label is looked at.
    """
    lesions = table.select(find_true_lesions(table, settings))
    columns = defined_columns(lesions.values, settings.undefined_limit)
    complete = complete_rows(lesions.values, [int(column) for column in columns])
    if lesions.handmade_names:
        complete &= ~np.isnan(lesions.handmade).any(axis=1)
    values = np.full_like(lesions.values, np.nan)
    values[:, columns] = lesions.values[:, columns]
    return replace(lesions, values=values).select(complete)


def read_labels(table: FeatureTable, target: str) -> NDArray[Any]:
    """Labels of a target: ``malignant`` or ``type``."""
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}, expected one of {TARGETS}")
    return table.malignant if target == "malignant" else table.tumour_types


def nested_cross_validate(
    table: FeatureTable,
    target: str,
    search: Learner,
    *,
    settings: ClassifierRecipe,
    outer_folds: int = 5,
    seed: int,
) -> NestedResult:
    """Judge a learner by outer folds that it never sees.

    Parameters
    ----------
    table : FeatureTable
        Whatever its parts are called: all of its rows are used.
    target : str
        ``malignant`` or ``type``.
    search : Learner
        E.g. ``node.training.learners.SvmSearch``; its inner cross-validation is its own affair.
    settings : ClassifierRecipe
        ``minimum_overlap``, ``undefined_limit`` and ``slices_per_patient`` are read.
    outer_folds : int
    seed : int
        The same seed gives every learner the same folds and the same training rows.

    Raises
    ------
    SetupFault
        If there are too few patients of a class for so many folds.
    """
    rows = choose_rows(table, settings)
    labels = read_labels(rows, target)
    classes = np.unique(labels)
    probability = np.zeros((len(labels), len(classes)))
    fold = np.zeros(len(labels), np.int64)
    learned = []
    seconds = 0.0
    splits = split_by_patient(labels, rows.patients, folds=outer_folds, seed=seed)
    for number, (fitting_rows, judging_rows) in enumerate(splits):
        fitting = thin_patients(
            rows.select(_as_mask(fitting_rows, len(labels))), settings.slices_per_patient, seed
        )
        start = time.perf_counter()
        one = search.fit(fitting, read_labels(fitting, target), seed=seed + number)
        seconds += time.perf_counter() - start
        judging = rows.select(_as_mask(judging_rows, len(labels)))
        probability[np.sort(judging_rows)] = one.predict(judging)
        fold[judging_rows] = number
        learned.append(one)
    return NestedResult(
        identifiers=rows.identifiers,
        patients=rows.patients,
        labels=labels,
        classes=classes,
        probability=probability,
        fold=fold,
        learned=tuple(learned),
        seconds=seconds,
    )


def _as_mask(rows: NDArray[np.intp], count: int) -> NDArray[np.bool_]:
    mask = np.zeros(count, bool)
    mask[rows] = True
    return mask
