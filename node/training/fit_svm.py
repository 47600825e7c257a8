"""Fit the classifier: genetic search on training patients, calibration on validation patients."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.covariance import LedoitWolf
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import RobustScaler

from node.classify.model import Classifier
from node.training.calibrate import Calibration, calibrate, find_logit_slope
from node.training.feature_choice import FeatureChoice, choose_features, complete_rows
from node.training.feature_table import FeatureTable
from node.training.genetic_search import search_genes
from node.training.recipe import ClassifierRecipe
from node.training.svm_objective import (
    Genome,
    SearchResult,
    allow_early_stop,
    build_svm,
    run_search,
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedClassifier:
    """The classifier and how it came about.

    Parameters
    ----------
    classifier : Classifier
    malignancy_search : SearchResult
    type_search : SearchResult or None
        None where only malignancy is judged.
    novelty_limit : float
        99th percentile of the novelty of validation lesions.
    rows : dict of str to int
        Lesions used from each part.
    choice : FeatureChoice
        Features that the search could choose from, and why the others were dropped.
    fitting, calibrating : FeatureTable
        The lesions themselves, for plots and figures of the training.
    malignancy_calibration : Calibration
    type_calibration : Calibration or None
    """

    classifier: Classifier
    malignancy_search: SearchResult
    type_search: SearchResult | None
    novelty_limit: float
    rows: dict[str, int]
    choice: FeatureChoice
    fitting: FeatureTable
    calibrating: FeatureTable
    malignancy_calibration: Calibration
    type_calibration: Calibration | None


def fit_classifier(
    table: FeatureTable,
    *,
    settings: ClassifierRecipe,
    seed: int,
    icc: Mapping[str, float] | None = None,
) -> FittedClassifier:
    """Fit on lesions that truly are the labelled tumour; test patients are never looked at.

    The choice of features, the search and the SVMs see training patients only. The calibration and
    the novelty limit come from validation patients, whose masks the segmenter did not learn.

    Parameters
    ----------
    table : FeatureTable
    settings : ClassifierRecipe
    seed : int
    icc : mapping of str to float, optional
        Reproducibility of features, see ``node.training.feature_choice``.
    """
    true_lesions = find_true_lesions(table, settings)
    fitting = table.select(true_lesions & (table.parts == "train"))
    choice = choose_features(
        fitting.values,
        table.names,
        undefined_limit=settings.undefined_limit,
        correlation_limit=settings.correlation_limit,
        icc=icc,
        minimum_icc=settings.minimum_icc,
    )
    complete = true_lesions & complete_rows(table.values, choice.columns)
    fitting = thin_patients(
        table.select(complete & (table.parts == "train")), settings.slices_per_patient, seed
    )
    calibrating = table.select(complete & (table.parts == "validation"))
    log.info("features.chosen", kept=len(choice.columns), dropped=len(choice.dropped))

    target = _Target(fitting, calibrating, choice.columns, settings)
    malignancy, malignancy_search = target.fit(fitting.malignant, calibrating.malignant, seed)
    tumour_type, type_search = None, None
    if settings.tumour_type and len(np.unique(fitting.tumour_types)) > 1:
        tumour_type, type_search = target.fit(
            fitting.tumour_types, calibrating.tumour_types, seed + 1
        )
    scaler = _fit_scaler(fitting.values)
    svm = malignancy.estimator.calibrated_classifiers_[0].estimator.estimator
    classifier = Classifier(
        names=table.names,
        malignancy=malignancy.estimator,
        malignancy_columns=malignancy_search.genome.columns,
        scaler=scaler,
        covariance=LedoitWolf().fit(scaler.transform(fitting.values)[:, list(choice.columns)]),
        tumour_type=None if tumour_type is None else tumour_type.estimator,
        type_names=()
        if tumour_type is None
        else tuple(str(name) for name in tumour_type.estimator.classes_),
        type_columns=() if type_search is None else type_search.genome.columns,
        novelty_columns=choice.columns,
        logit_slope=find_logit_slope(svm, calibrating.values, calibrating.malignant),
    )
    novelty = classifier.measure_novelty(calibrating.values)
    return FittedClassifier(
        classifier=classifier,
        malignancy_search=malignancy_search,
        type_search=type_search,
        novelty_limit=float(np.percentile(novelty, 99)),
        rows={"train": len(fitting.patients), "validation": len(calibrating.patients)},
        choice=choice,
        fitting=fitting,
        calibrating=calibrating,
        malignancy_calibration=malignancy,
        type_calibration=tumour_type,
    )


def find_true_lesions(table: FeatureTable, settings: ClassifierRecipe) -> NDArray[np.bool_]:
    """Rows whose largest predicted lesion is the labelled tumour, and whose label is known."""
    return np.asarray(table.usable & table.labelled & (table.overlap >= settings.minimum_overlap))


def thin_patients(table: FeatureTable, most: int, seed: int) -> FeatureTable:
    """Keep at most so many rows of a patient, so that long series do not outvote the rest."""
    rng = np.random.default_rng(seed)
    keep = np.zeros(len(table.patients), bool)
    for patient in np.unique(table.patients):
        rows = np.flatnonzero(table.patients == patient)
        keep[rng.permutation(rows)[:most]] = True
    return table.select(keep)


def fit_genome(
    genome: Genome, values: NDArray[np.float64], labels: NDArray[Any], scaling: str
) -> Pipeline:
    """Fit the SVM of a genome; it takes all columns and reads its own."""
    keep = ColumnTransformer([("kept", "passthrough", list(genome.columns))])
    svm = Pipeline([("keep", keep), ("svm", build_svm(genome, labels, scaling))])
    with allow_early_stop():
        return svm.fit(values, labels)


def restore_columns(genome: Genome, columns: tuple[int, ...]) -> Genome:
    """Count columns as in the table again, after a search that saw only ``columns`` of it."""
    return replace(genome, columns=tuple(columns[i] for i in genome.columns))


@dataclass(frozen=True)
class _Target:
    """The two tables, ready to be fitted to one label after the other."""

    fitting: FeatureTable
    calibrating: FeatureTable
    columns: tuple[int, ...]
    settings: ClassifierRecipe

    def fit(
        self, labels: NDArray[Any], calibration_labels: NDArray[Any], seed: int
    ) -> tuple[Calibration, SearchResult]:
        fitting, calibrating = self.fitting, self.calibrating
        result = run_search(
            search_genes,
            fitting.values[:, list(self.columns)],
            labels,
            fitting.patients,
            settings=self.settings,
            seed=seed,
        )
        result = replace(result, genome=restore_columns(result.genome, self.columns))
        log.info(
            "svm.found",
            kernel=result.genome.kernel,
            log2_c=result.genome.log2_c,
            log2_gamma=result.genome.log2_gamma,
            features=len(result.genome.columns),
            fitness=round(result.fitness, 4),
            evaluations=result.evaluations,
        )
        svm = fit_genome(result.genome, fitting.values, labels, self.settings.scaling)
        calibration = calibrate(
            svm,
            calibrating.values,
            calibration_labels,
            calibrating.patients,
            method=self.settings.calibration,
            seed=seed,
        )
        log.info("svm.calibrated", method=calibration.method, **calibration.brier)
        return calibration, result


def _fit_scaler(values: NDArray[np.float64]) -> RobustScaler:
    """Fit on all columns; one that is undefined everywhere gets 0, as no case will have it."""
    nowhere = np.isnan(values).all(axis=0)
    return RobustScaler().fit(np.where(nowhere, 0.0, values))
