"""Tune an SVM by a genetic algorithm over kernel, C, gamma and a feature mask (DEAP).

References
----------
Fortin et al., DEAP, JMLR 13, 2012; Huang, Wang, Expert Syst Appl 31(2), 2006,
doi:10.1016/j.eswa.2005.09.024 (genes of kernel parameters and a feature mask).
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from deap import algorithms, base, creator, tools

from node.training.svm_objective import (
    KERNELS,
    LOG2_C,
    LOG2_GAMMA,
    UNLIMITED,
    BudgetSpent,
    Genome,
    Objective,
    make_default,
)

#: Generations in a row without a new individual after which the search has run dry.
DRY_GENERATIONS = 20

#: Kernel, log2 C and log2 gamma of SVMs on all features that the first generation holds. Smooth
#: ones (small C, wide kernel) on all features often do best, and breeding does not reach them:
#: a drawn mask keeps 10 to 60 % of the features, and a mutation flips three.
LADDER = (
    *(("linear", log2_c, 0.0) for log2_c in (-6.0, -3.0, 0.0)),
    *(
        ("rbf", log2_c, log2_gamma)
        for log2_c in (0.0, 3.0, 6.0, 9.0)
        for log2_gamma in (-6.0, -3.0)
    ),
)


def search_genes(objective: Objective, *, seed: int) -> None:
    """Search for the SVM with the best AUC in cross-validation grouped by patient.

    The first generation holds SVMs on all features (``list_seeds``), so that the result is never
    worse than they are by the search's own measure; the rest of it is drawn. All of them count as
    evaluations. ``objective.history`` receives a row for each generation.

    Parameters
    ----------
    objective : Objective
        With a budget, the search goes on until it is spent, instead of for the number of
        generations in the settings.
    seed : int
        The whole search is reproduced from it.
    """
    settings, history = objective.settings, objective.history
    with _seeded_random(seed), _individual_type() as individual_type:
        toolbox = _make_toolbox(objective, individual_type)
        try:
            population = [
                individual_type(encode(genome, objective.count))
                for genome in list_seeds(
                    objective.count, settings.population, smooth=settings.smooth_seeds
                )
            ]
            population += toolbox.population(n=settings.population - len(population))
            _judge(population, toolbox)
            history.append(_summarize(population, objective, generation=0))
            dry = 0
            while dry < DRY_GENERATIONS:
                if objective.budget == UNLIMITED and len(history) > settings.generations:
                    break
                before = objective.evaluations
                population = _breed(population, toolbox)
                history.append(_summarize(population, objective, generation=len(history)))
                dry = dry + 1 if objective.evaluations == before else 0
        except BudgetSpent:
            history.append({**objective.trace[-1], "generation": float(len(history))})


def list_seeds(count: int, population: int, *, smooth: bool = True) -> list[Genome]:
    """Return the SVMs on all ``count`` features that a first generation holds.

    They are the default SVM and, if ``smooth``, the ``LADDER``, as far as they fill no more than
    half of the population: the other half brings the masks that a search needs.
    """
    rungs = [
        Genome(kernel=kernel, log2_c=log2_c, log2_gamma=log2_gamma, columns=tuple(range(count)))
        for kernel, log2_c, log2_gamma in (LADDER if smooth else ())
    ]
    return [make_default(count), *rungs][: population // 2]


def _make_toolbox(objective: Objective, individual_type: Any) -> base.Toolbox:
    toolbox = base.Toolbox()
    toolbox.register("individual", lambda: individual_type(draw(objective.count)))
    toolbox.register("population", tools.initRepeat, list, toolbox.individual)
    toolbox.register("evaluate", lambda individual: (objective.judge(decode(individual)),))
    toolbox.register("mate", tools.cxUniform, indpb=0.5)
    toolbox.register("mutate", _mutate)
    toolbox.register("select", tools.selTournament, tournsize=3)
    return toolbox


def _judge(individuals: list[Any], toolbox: base.Toolbox) -> None:
    for individual in individuals:
        if not individual.fitness.valid:
            individual.fitness.values = toolbox.evaluate(individual)


def _breed(population: list[Any], toolbox: base.Toolbox) -> list[Any]:
    """Return the next generation: the best so far, and winners of tournaments (mu + lambda)."""
    offspring = algorithms.varOr(population, toolbox, len(population), cxpb=0.6, mutpb=0.4)
    _judge(offspring, toolbox)
    everyone = population + offspring
    elite = tools.selBest(everyone, 1)
    return elite + toolbox.select(everyone, len(population) - 1)


def _summarize(population: list[Any], objective: Objective, *, generation: int) -> dict[str, float]:
    return {
        **objective.trace[-1],
        "generation": float(generation),
        "mean": float(np.mean([individual.fitness.values[0] for individual in population])),
    }


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


def draw(count: int) -> list[float]:
    """Draw genes from the global ``random``: kernel, C, gamma, and a mask of a random density."""
    share = random.uniform(0.1, 0.6)  # noqa: S311 - a search needs no cryptography
    mask = [float(random.random() < share) for _ in range(count)]  # noqa: S311 - as above
    kernel = float(random.random() < 0.7)  # noqa: S311 - as above
    return [kernel, random.uniform(*LOG2_C), random.uniform(*LOG2_GAMMA), *mask]  # noqa: S311 - as above


def _mutate(individual: list[float]) -> tuple[list[float]]:
    count = len(individual) - 3
    if random.random() < 0.1:  # noqa: S311 - as above
        individual[0] = 1 - individual[0]
    for place, (low, high) in ((1, LOG2_C), (2, LOG2_GAMMA)):
        individual[place] = min(high, max(low, individual[place] + random.gauss(0, 1)))
    for place in range(3, len(individual)):
        if random.random() < 3 / count:  # noqa: S311 - as above
            individual[place] = 1 - individual[place]
    return (individual,)


def decode(individual: list[float]) -> Genome:
    """Read genes; a linear kernel has no gamma, and an empty mask keeps the first feature."""
    columns = tuple(i for i, kept in enumerate(individual[3:]) if kept)
    return Genome(
        kernel=KERNELS[int(individual[0])],
        log2_c=round(individual[1], 2),
        log2_gamma=round(individual[2], 2) if individual[0] else 0.0,
        columns=columns or (0,),
    )


def encode(genome: Genome, count: int) -> list[float]:
    """Write a genome as genes over ``count`` features."""
    kept = set(genome.columns)
    mask = [float(i in kept) for i in range(count)]
    return [float(KERNELS.index(genome.kernel)), genome.log2_c, genome.log2_gamma, *mask]
