"""Fit the classifier: genetic search on training patients, calibration on validation patients."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.covariance import LedoitWolf
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler

from node.classify.model import Classifier
from node.training.feature_table import FeatureTable
from node.training.genetic_search import SearchResult, build_svm, search_svm
from node.training.recipe import ClassifierRecipe

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedClassifier:
    """The classifier and how it came about.

    Parameters
    ----------
    classifier : Classifier
    malignancy_search, type_search : SearchResult
    novelty_limit : float
        99th percentile of the novelty of validation lesions.
    rows : dict of str to int
        Lesions used from each part.
    """

    classifier: Classifier
    malignancy_search: SearchResult
    type_search: SearchResult
    novelty_limit: float
    rows: dict[str, int]


def fit_classifier(
    table: FeatureTable, *, settings: ClassifierRecipe, seed: int
) -> FittedClassifier:
    """Fit on lesions that truly are the labelled tumour; test patients are never looked at.

    The search and the SVMs see training patients only. The sigmoid calibration (Platt) and the
    novelty limit come from validation patients, whose masks the segmenter did not learn.
    """
    true_lesions = table.usable & (table.overlap >= settings.minimum_overlap)
    fitting = _thin(table.select(true_lesions & (table.parts == "train")), settings, seed)
    calibrating = table.select(true_lesions & (table.parts == "validation"))
    malignancy, malignancy_search = _fit_target(
        fitting, calibrating, fitting.malignant, calibrating.malignant, settings, seed
    )
    tumour_type, type_search = _fit_target(
        fitting, calibrating, fitting.tumour_types, calibrating.tumour_types, settings, seed + 1
    )
    scaler = RobustScaler().fit(fitting.values)
    covariance = LedoitWolf().fit(scaler.transform(fitting.values))
    classifier = Classifier(
        names=table.names,
        malignancy=malignancy,
        malignancy_columns=malignancy_search.genome.columns,
        tumour_type=tumour_type,
        type_names=tuple(str(name) for name in tumour_type.classes_),
        scaler=scaler,
        covariance=covariance,
    )
    novelty = classifier.measure_novelty(calibrating.values)
    return FittedClassifier(
        classifier=classifier,
        malignancy_search=malignancy_search,
        type_search=type_search,
        novelty_limit=float(np.percentile(novelty, 99)),
        rows={"train": len(fitting.patients), "validation": len(calibrating.patients)},
    )


def _thin(table: FeatureTable, settings: ClassifierRecipe, seed: int) -> FeatureTable:
    """Keep at most so many slices of a patient, so that long series do not outvote the rest."""
    rng = np.random.default_rng(seed)
    keep = np.zeros(len(table.patients), bool)
    for patient in np.unique(table.patients):
        rows = np.flatnonzero(table.patients == patient)
        keep[rng.permutation(rows)[: settings.slices_per_patient]] = True
    return table.select(keep)


def _fit_target(  # noqa: PLR0917 - two tables with their labels, then the settings
    fitting: FeatureTable,
    calibrating: FeatureTable,
    labels: NDArray[Any],
    calibration_labels: NDArray[Any],
    settings: ClassifierRecipe,
    seed: int,
) -> tuple[Any, SearchResult]:
    result = search_svm(fitting.values, labels, fitting.patients, settings=settings, seed=seed)
    log.info(
        "svm.found",
        kernel=result.genome.kernel,
        log2_c=result.genome.log2_c,
        log2_gamma=result.genome.log2_gamma,
        features=len(result.genome.columns),
        fitness=round(result.fitness, 4),
    )
    keep = ColumnTransformer([("kept", "passthrough", list(result.genome.columns))])
    svm = Pipeline([("keep", keep), ("svm", build_svm(result.genome))])
    svm.fit(fitting.values, labels)
    # A frozen estimator is fitted no more, so the folds only pass the data through it; two ask for
    # no more than two lesions of each class.
    calibrated = CalibratedClassifierCV(FrozenEstimator(svm), method="sigmoid", cv=2)
    calibrated.fit(calibrating.values, calibration_labels)
    return calibrated, result
