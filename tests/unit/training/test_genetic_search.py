"""The genetic search finds the signal, charges for features, and repeats itself."""

import random

import numpy as np
from factories_tables import QUICK, make_table

from node.training.genetic_search import search_genes
from node.training.svm_objective import run_search


def search(seed: int, **changes):
    table = make_table()
    return run_search(
        search_genes,
        table.values,
        table.malignant,
        table.patients,
        settings=QUICK.model_copy(update=changes),
        seed=seed,
    )


def test_it_finds_the_signal():
    result = search(1)
    assert 0 in result.genome.columns
    assert result.fitness > 0.95


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
