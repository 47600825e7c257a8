"""The classifiers that are compared: SVMs by several searches, and simpler ways."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from node.training.feature_choice import choose_features
from node.training.feature_table import FeatureTable
from node.training.fit_svm import restore_columns
from node.training.nested import Learned
from node.training.recipe import ClassifierRecipe
from node.training.svm_objective import (
    Search,
    allow_early_stop,
    build_scaler,
    build_svm,
    run_search,
    split_by_patient,
)

#: Columns that tell the size of a lesion, the first that a table has.
SIZE_COLUMNS = (
    "original_shape_MeshVolume",
    "original_shape_VoxelVolume",
    "original_shape2D_MeshSurface",
    "original_shape2D_PixelSurface",
)


@dataclass(frozen=True, kw_only=True)
class SvmSearch:
    """An SVM found by a search, calibrated (Platt) on its own inner folds.

    Parameters
    ----------
    name : str
    search : Search
        ``search_genes`` or one of ``node.training.other_searches``.
    settings : ClassifierRecipe
    evaluations : int
    source : str
        ``values`` or ``handmade``.
    """

    name: str
    search: Search
    settings: ClassifierRecipe
    evaluations: int
    source: str = "values"

    def fit(self, table: FeatureTable, labels: NDArray[Any], *, seed: int) -> Learned:
        """Choose features, search, fit and calibrate, all on the rows of the table."""
        columns = _choose(table, self.source, self.settings)
        values = getattr(table, self.source)
        result = run_search(
            self.search,
            values[:, list(columns)],
            labels,
            table.patients,
            settings=self.settings,
            seed=seed,
            budget=self.evaluations,
        )
        genome = restore_columns(result.genome, columns)
        return Learned(
            estimator=_fit_calibrated(
                build_svm(genome, labels, self.settings.scaling),
                genome.columns,
                values,
                labels,
                table.patients,
                folds=self.settings.folds,
                seed=seed,
            ),
            source=self.source,
            features=len(genome.columns),
            evaluations=result.evaluations,
            fitness=result.fitness,
        )


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A classifier with scikit-learn's defaults on scaled features, calibrated likewise.

    Parameters
    ----------
    name : str
    build : callable
        Takes the seed, gives the unfitted classifier.
    settings : ClassifierRecipe
    columns : tuple of str
        Features by name; empty: those that the choice of features leaves.
    """

    name: str
    build: Callable[[int], Any]
    settings: ClassifierRecipe
    columns: tuple[str, ...] = ()

    def fit(self, table: FeatureTable, labels: NDArray[Any], *, seed: int) -> Learned:
        """Fit and calibrate on the rows of the table."""
        columns = tuple(table.names.index(name) for name in self.columns)
        columns = columns or _choose(table, "values", self.settings)
        estimator = Pipeline(
            [("scale", build_scaler(self.settings.scaling)), ("classify", self.build(seed))]
        )
        return Learned(
            estimator=_fit_calibrated(
                estimator,
                columns,
                table.values,
                labels,
                table.patients,
                folds=self.settings.folds,
                seed=seed,
            ),
            features=len(columns),
        )


def build_logistic(seed: int) -> LogisticRegression:
    """Build a ridge logistic regression."""
    return LogisticRegression(max_iter=2000, random_state=seed)


def build_forest(seed: int) -> RandomForestClassifier:
    """Build a random forest of 300 trees."""
    return RandomForestClassifier(300, random_state=seed)


def find_size(table: FeatureTable) -> str:
    """Return the name of the column that tells a lesion's size; empty if there is none.

    A column with undefined values (a volume, in a table of slices) does not count.
    """
    for name in SIZE_COLUMNS:
        if name in table.names and np.isfinite(table.values[:, table.names.index(name)]).all():
            return name
    return ""


def _choose(table: FeatureTable, source: str, settings: ClassifierRecipe) -> tuple[int, ...]:
    names = table.names if source == "values" else table.handmade_names
    return choose_features(
        getattr(table, source),
        names,
        undefined_limit=settings.undefined_limit,
        correlation_limit=settings.correlation_limit,
    ).columns


def _fit_calibrated(
    estimator: Any,
    columns: tuple[int, ...],
    values: NDArray[np.float64],
    labels: NDArray[Any],
    patients: NDArray[Any],
    *,
    folds: int,
    seed: int,
) -> CalibratedClassifierCV:
    """Fit one classifier for each fold by patient, with Platt's sigmoid from that fold; their mean.

    One sigmoid for the decision values of all folds would not do: the intercept of a smooth SVM,
    all of whose support vectors are at their bound, swings from fold to fold by more than its
    decision values differ, so that together they rank nothing.
    """
    pipeline = Pipeline(
        [
            ("keep", ColumnTransformer([("kept", "passthrough", list(columns))])),
            ("model", estimator),
        ]
    )
    splits = split_by_patient(labels, patients, folds=folds, seed=seed)
    calibrated = CalibratedClassifierCV(pipeline, method="sigmoid", cv=splits)
    with allow_early_stop():
        return calibrated.fit(values, labels)
