"""The genetic search finds the signal, charges for features, and repeats itself."""

import random

import numpy as np
import pytest
from factories_tables import QUICK, make_table

from node.training.genetic_search import LADDER, list_seeds, search_genes
from node.training.other_searches import keep_default
from node.training.svm_objective import (
    LOG2_C,
    LOG2_GAMMA,
    Objective,
    SearchResult,
    make_default,
    run_search,
)


def search(seed: int, walk=search_genes, **changes) -> SearchResult:
    table = make_table()
    return run_search(
        walk,
        table.values,
        table.malignant,
        table.patients,
        settings=QUICK.model_copy(update=changes),
        seed=seed,
    )


class Spy(Objective):
    """Remembers every candidate in the order in which it was asked about."""

    def __init__(self, **changes) -> None:
        table = make_table()
        settings = QUICK.model_copy(update={"generations": 1, **changes})
        super().__init__(table.values, table.malignant, table.patients, settings=settings, seed=1)
        self.asked = []

    def judge(self, genome):
        self.asked.append(genome)
        return super().judge(genome)


def climb(objective: Objective, *, seed: int) -> None:
    """Judge the default SVM and the ladder, and nothing else."""
    del seed
    for genome in list_seeds(objective.count, 2 * len(LADDER) + 2):
        objective.judge(genome)


def test_it_finds_the_signal():
    result = search(1)
    assert 0 in result.genome.columns
    assert result.fitness > 0.95


def test_the_first_generation_holds_the_default_and_every_rung_of_the_ladder():
    objective = Spy(population=30)
    search_genes(objective, seed=1)
    first = objective.asked[:30]
    assert first[0] == make_default(8)
    assert [(g.kernel, g.log2_c, g.log2_gamma) for g in first[1:12]] == list(LADDER)
    assert all(g.columns == tuple(range(8)) for g in first[:12])
    assert all(LOG2_C[0] <= c <= LOG2_C[1] for _, c, _ in LADDER)
    assert all(LOG2_GAMMA[0] <= gamma <= LOG2_GAMMA[1] for _, _, gamma in LADDER)
    assert len({g.columns for g in first[12:]}) > 10
    assert objective.history[0]["evaluations"] == len(set(first))


@pytest.mark.parametrize(("population", "seeds"), [(4, 2), (7, 3), (23, 11), (24, 12), (40, 12)])
def test_seeds_fill_no_more_than_half_of_a_population(population, seeds):
    found = list_seeds(5, population)
    assert len(found) == len(set(found)) == seeds
    assert found[0] == make_default(5)
    objective = Spy(population=population)
    search_genes(objective, seed=2)
    assert objective.asked[:seeds] == list_seeds(8, population)
    assert objective.asked[seeds].columns != tuple(range(8))


def test_it_is_never_worse_on_its_own_folds_than_the_best_of_the_ladder():
    # Paid for features, a search that has not seen the ladder would end with the default SVM.
    paid = {"population": 24, "generations": 1, "feature_charge": -1.0}
    ladder = search(6, climb, **paid)
    assert ladder.evaluations == 1 + len(LADDER)
    assert ladder.fitness > search(6, keep_default, **paid).fitness
    assert search(6, **paid).fitness >= ladder.fitness


def test_a_seed_gives_the_same_search_whatever_was_drawn_before():
    random.seed(1)
    first = search(5)
    random.seed(99)
    assert search(5) == first


def test_it_leaves_the_global_random_numbers_alone():
    random.seed(4)
    expected = [random.random(), random.random()]
    random.seed(4)
    drawn = [random.random()]
    search(2, generations=1)
    assert [*drawn, random.random()] == expected


def test_a_charge_keeps_fewer_features():
    dear = search(3, feature_charge=0.05, generations=5, population=10)
    free = search(3, feature_charge=0.0, generations=5, population=10)
    assert len(dear.genome.columns) < len(free.genome.columns)


def test_history_tells_every_generation_and_never_falls():
    history = search(1).history
    assert [row["generation"] for row in history] == [0, 1, 2, 3]
    best = [row["best"] for row in history]
    assert best == sorted(best)
    assert all(np.isfinite(row["mean"]) for row in history)


def test_without_smooth_seeds_the_default_svm_is_the_only_one_on_all_features():
    (only,) = list_seeds(5, 40, smooth=False)
    assert only == make_default(5)
