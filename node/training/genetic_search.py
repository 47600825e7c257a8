"""Tune an SVM by a genetic algorithm over kernel, C, gamma and a feature mask (DEAP)."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from deap import algorithms, base, creator, tools
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from node.evaluation.discrimination import measure_auc
from node.training.recipe import ClassifierRecipe

KERNELS = ("linear", "rbf")


@dataclass(frozen=True, kw_only=True)
class Genome:
    """One candidate SVM.

    Parameters
    ----------
    kernel : str
    log2_c, log2_gamma : float
        Gamma is a multiple of one over the number of kept features.
    columns : tuple of int
        Features that it may use.
    """

    kernel: str
    log2_c: float
    log2_gamma: float
    columns: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What the search found.

    Parameters
    ----------
    genome : Genome
        Highest fitness of all.
    fitness : float
        Cross-validated AUC less the charge for features.
    history : list of dict
        Per generation: best fitness so far, and the mean of the population.
    """

    genome: Genome
    fitness: float
    history: list[dict[str, float]] = field(default_factory=list)


def build_svm(genome: Genome) -> Pipeline:
    """Build the unfitted pipeline of a genome; it takes the kept columns only."""
    return make_pipeline(
        StandardScaler(),
        SVC(
            kernel=genome.kernel,
            C=2.0**genome.log2_c,
            gamma=2.0**genome.log2_gamma / len(genome.columns),
            class_weight="balanced",
            decision_function_shape="ovr",
        ),
    )


def search_svm(
    values: NDArray[np.float64],
    labels: NDArray[Any],
    patients: NDArray[Any],
    *,
    settings: ClassifierRecipe,
    seed: int,
) -> SearchResult:
    """Search for the SVM with the best AUC in cross-validation grouped by patient.

    Parameters
    ----------
    values : ndarray, shape (n, features)
        Without NaN.
    labels, patients : ndarray, shape (n,)
    settings : ClassifierRecipe
        ``feature_charge`` is taken off the fitness for each feature kept.
    seed : int
        The whole search is reproduced from it.
    """
    count = values.shape[1]
    folds = list(
        StratifiedGroupKFold(settings.folds, shuffle=True, random_state=seed).split(
            values, labels, patients
        )
    )
    known: dict[Genome, float] = {}

    def judge(individual: list[float]) -> tuple[float]:
        genome = _decode(individual)
        if genome not in known:
            known[genome] = _cross_validate(genome, values, labels, folds) - (
                settings.feature_charge * len(genome.columns)
            )
        return (known[genome],)

    with _seeded_random(seed), _individual_type() as individual_type:
        toolbox = base.Toolbox()
        toolbox.register("individual", lambda: individual_type(_draw(count)))
        toolbox.register("population", tools.initRepeat, list, toolbox.individual)
        toolbox.register("evaluate", judge)
        toolbox.register("mate", tools.cxUniform, indpb=0.5)
        toolbox.register("mutate", _mutate)
        toolbox.register("select", tools.selTournament, tournsize=3)
        statistics = tools.Statistics(lambda one: one.fitness.values[0])
        statistics.register("best", max)
        statistics.register("mean", lambda v: float(np.mean(v)))
        hall = tools.HallOfFame(1)
        _, logbook = algorithms.eaMuPlusLambda(
            toolbox.population(n=settings.population),
            toolbox,
            mu=settings.population,
            lambda_=settings.population,
            cxpb=0.6,
            mutpb=0.4,
            ngen=settings.generations,
            stats=statistics,
            halloffame=hall,
            verbose=False,
        )
        best = hall[0]
    so_far = np.maximum.accumulate([float(row["best"]) for row in logbook])
    return SearchResult(
        genome=_decode(best),
        fitness=float(best.fitness.values[0]),
        history=[
            {"generation": float(row["gen"]), "best": float(best_so_far), "mean": row["mean"]}
            for row, best_so_far in zip(logbook, so_far, strict=True)
        ],
    )


@contextmanager
def _individual_type() -> Iterator[Any]:
    """DEAP keeps the types that it makes in a module; take ours out again."""
    creator.create("_Fitness", base.Fitness, weights=(1.0,))
    creator.create("_Individual", list, fitness=creator._Fitness)
    try:
        yield creator._Individual
    finally:
        del creator._Individual, creator._Fitness


@contextmanager
def _seeded_random(seed: int) -> Iterator[None]:
    """DEAP draws from the global ``random``: seed it here and put its state back afterwards."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _draw(count: int) -> list[float]:
    share = random.uniform(0.1, 0.6)  # noqa: S311 - a search needs no cryptography
    mask = [float(random.random() < share) for _ in range(count)]  # noqa: S311 - as above
    kernel = float(random.random() < 0.7)  # noqa: S311 - as above
    return [kernel, random.uniform(-6, 10), random.uniform(-8, 5), *mask]  # noqa: S311 - as above


def _mutate(individual: list[float]) -> tuple[list[float]]:
    count = len(individual) - 3
    if random.random() < 0.1:  # noqa: S311 - as above
        individual[0] = 1 - individual[0]
    individual[1] = min(10.0, max(-6.0, individual[1] + random.gauss(0, 1)))
    individual[2] = min(5.0, max(-8.0, individual[2] + random.gauss(0, 1)))
    for place in range(3, len(individual)):
        if random.random() < 3 / count:  # noqa: S311 - as above
            individual[place] = 1 - individual[place]
    return (individual,)


def _decode(individual: list[float]) -> Genome:
    columns = tuple(i for i, kept in enumerate(individual[3:]) if kept)
    return Genome(
        kernel=KERNELS[int(individual[0])],
        log2_c=round(individual[1], 2),
        log2_gamma=round(individual[2], 2) if individual[0] else 0.0,
        columns=columns or (0,),
    )


def _cross_validate(
    genome: Genome,
    values: NDArray[np.float64],
    labels: NDArray[Any],
    folds: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> float:
    kept = values[:, genome.columns]
    scores = []
    for fitting, judging in folds:
        svm = build_svm(genome).fit(kept[fitting], labels[fitting])
        scores.append(
            measure_auc(labels[judging], svm.decision_function(kept[judging]), svm.classes_)
        )
    return float(np.mean(scores))
