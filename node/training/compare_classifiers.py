"""Control groups of the genetic search, all judged by the same nested cross-validation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from node.evaluation.probability_figures import (
    FIGURES,
    bootstrap_figures,
    find_interval,
    measure_probabilities,
)
from node.training.feature_table import FeatureTable
from node.training.genetic_search import search_genes
from node.training.learners import (
    Plain,
    SvmSearch,
    build_forest,
    build_logistic,
    find_size,
)
from node.training.nested import Learner, NestedResult, choose_rows, nested_cross_validate
from node.training.other_searches import keep_default, search_grid, search_random, search_tpe
from node.training.recipe import ClassifierRecipe

log = structlog.get_logger()

GENETIC = "SVM, genetic search"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure with its 95 % interval by bootstrap over patients."""

    value: float
    interval_95: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ComparedRow:
    """One classifier on one group of lesions.

    Parameters
    ----------
    name : str
    group : str
        ``all``, or a subgroup of patients.
    patients, lesions : int
        That it was judged on.
    figures : dict of str to Figure
        ``auc``, ``accuracy``, ``sensitivity``, ``specificity``, ``brier``.
    auc_gain : Figure or None
        AUC of the genetic search less that of this one, on the same draws of patients.
    evaluations : int
        Candidates cross-validated in each outer fold; 0 where nothing is searched.
    features : float
        Mean number of features over the outer folds.
    fitness : float
        Mean over the outer folds of the inner search's own measure, by which it has chosen: AUC
        less the charge for features. NaN without a search.
    seconds : float
        For fitting all outer folds.
    """

    name: str
    group: str
    patients: int
    lesions: int
    figures: dict[str, Figure]
    auc_gain: Figure | None
    evaluations: int
    features: float
    fitness: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The whole table.

    Parameters
    ----------
    target : str
    rows : tuple of ComparedRow
    left_out : dict of str to str
        Name of a control -> why it could not be made.
    settings : dict
        What the comparison depends on.
    """

    target: str
    rows: tuple[ComparedRow, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    settings: dict[str, float | str] = field(default_factory=dict)


def list_learners(
    table: FeatureTable, settings: ClassifierRecipe, evaluations: int
) -> tuple[list[Learner], dict[str, str]]:
    """Return every classifier that the table allows, and why the others are left out."""
    searches = (
        (GENETIC, search_genes),
        ("SVM, default", keep_default),
        ("SVM, grid search", search_grid),
        ("SVM, random search", search_random),
        ("SVM, TPE search", search_tpe),
    )
    learners: list[Learner] = [
        SvmSearch(name=name, search=search, settings=settings, evaluations=evaluations)
        for name, search in searches
    ]
    learners += [
        Plain(name="logistic regression", build=build_logistic, settings=settings),
        Plain(name="random forest", build=build_forest, settings=settings),
    ]
    left_out = {}
    size = find_size(choose_rows(table, settings))
    name = "size alone, logistic regression"
    if size:
        learners.append(Plain(name=name, build=build_logistic, settings=settings, columns=(size,)))
    else:
        left_out[name] = "the table has no feature of volume or area"
    name = "hand-made features, genetic search"
    if table.handmade_names:
        learners.append(
            SvmSearch(
                name=name,
                search=search_genes,
                settings=settings,
                evaluations=evaluations,
                source="handmade",
            )
        )
    else:
        left_out[name] = "the table was made without hand-made features"
    return learners, left_out


def compare_classifiers(
    table: FeatureTable,
    target: str,
    *,
    settings: ClassifierRecipe,
    evaluations: int,
    outer_folds: int,
    seed: int,
    groups: Mapping[str, Callable[[str], bool]] | None = None,
    draws: int = 1000,
) -> Comparison:
    """Judge every classifier on the same lesions by the same outer folds.

    Parameters
    ----------
    table : FeatureTable
    target : str
        ``malignant`` or ``type``.
    settings : ClassifierRecipe
    evaluations : int
        Candidates that each search may cross-validate in each outer fold.
    outer_folds : int
    seed : int
    groups : mapping of str to callable, optional
        Subgroups: name -> whether a patient belongs to it.
    draws : int
        Of the bootstrap.
    """
    learners, left_out = list_learners(table, settings, evaluations)
    results = []
    for learner in learners:
        result = nested_cross_validate(
            table, target, learner, settings=settings, outer_folds=outer_folds, seed=seed
        )
        results.append(result)
        log.info("classifier.compared", name=learner.name, seconds=round(result.seconds, 1))
    rows = []
    for group, belongs in {"all": lambda _: True, **(groups or {})}.items():
        members = np.array([belongs(str(patient)) for patient in results[0].patients])
        if len(np.unique(results[0].labels[members])) < len(results[0].classes):
            left_out[f"group {group}"] = "one of the classes is missing in it"
            continue
        rows += _measure(learners, results, group, members, seed=seed, draws=draws)
    return Comparison(
        target=target,
        rows=tuple(rows),
        left_out=left_out,
        settings={
            "evaluations": evaluations,
            "outer_folds": outer_folds,
            "inner_folds": settings.folds,
            "population": settings.population,
            "feature_charge": settings.feature_charge,
            "scaling": settings.scaling,
            "slices_per_patient": settings.slices_per_patient,
            "seed": seed,
        },
    )


def _measure(
    learners: Sequence[Learner],
    results: Sequence[NestedResult],
    group: str,
    members: NDArray[np.bool_],
    *,
    seed: int,
    draws: int,
) -> list[ComparedRow]:
    rows: list[ComparedRow] = []
    first: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for learner, result in zip(learners, results, strict=True):
        labels, probability = result.labels[members], result.probability[members]
        patients = result.patients[members]
        values = measure_probabilities(labels, probability, result.classes)
        drawn = bootstrap_figures(
            labels, probability, result.classes, patients, seed=seed, draws=draws
        )
        gain = None
        if first is None:
            first = values, drawn
        else:
            gain = Figure(
                value=float(first[0][0] - values[0]),
                interval_95=find_interval(first[1][:, 0] - drawn[:, 0]),
            )
        rows.append(
            ComparedRow(
                name=learner.name,
                group=group,
                patients=len(np.unique(patients)),
                lesions=len(labels),
                figures={
                    name: Figure(value=float(values[i]), interval_95=find_interval(drawn[:, i]))
                    for i, name in enumerate(FIGURES)
                },
                auc_gain=gain,
                evaluations=max(one.evaluations for one in result.learned),
                features=float(np.mean([one.features for one in result.learned])),
                fitness=float(np.mean([one.fitness for one in result.learned])),
                seconds=result.seconds,
            )
        )
    return rows
