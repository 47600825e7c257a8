"""Control searches spend the same number of evaluations and repeat themselves."""

from dataclasses import replace

import numpy as np
import pytest
from factories_tables import QUICK, make_table

from node.domain.errors import SetupFault
from node.training.genetic_search import decode, encode, search_genes
from node.training.other_searches import keep_default, search_grid, search_random, search_tpe
from node.training.svm_objective import (
    UNLIMITED,
    BudgetSpent,
    Genome,
    Objective,
    make_default,
    run_search,
)

TABLE = make_table(patients=24, slices=2, features=5)


def run(search, budget: int = 12, **changes):
    return run_search(
        search,
        TABLE.values,
        TABLE.malignant,
        TABLE.patients,
        settings=QUICK.model_copy(update=changes),
        seed=7,
        budget=budget,
    )


def make_objective(budget: int = UNLIMITED, **changes) -> Objective:
    return Objective(
        TABLE.values,
        TABLE.malignant,
        TABLE.patients,
        settings=QUICK.model_copy(update=changes),
        seed=7,
        budget=budget,
    )


@pytest.mark.parametrize("search", [search_genes, search_random, search_tpe])
def test_a_search_spends_its_evaluations_and_no_more(search):
    result = run(search)
    assert result.evaluations == 12
    assert result.history[-1]["evaluations"] == 12
    best = [row["best"] for row in result.history]
    assert best == sorted(best)
    assert result.fitness == best[-1]


@pytest.mark.parametrize("search", [search_genes, search_grid, search_random, search_tpe])
def test_a_seed_gives_the_same_search_and_none_is_worse_than_the_default(search):
    assert run(search) == run(search)
    assert run(search).fitness >= run(keep_default).fitness


def test_finalists_meet_on_other_folds_and_the_default_is_among_them():
    alone, again = run(search_random), run(search_random, finalists=3, final_repeats=2)
    assert again.evaluations == alone.evaluations
    assert again.fitness != alone.fitness
    objective = make_objective(finalists=1)
    objective.judge(replace(make_default(5), columns=(4,)))
    assert objective.conclude().genome == make_default(5)


def test_the_grid_fits_into_the_evaluations_and_keeps_all_features():
    result = run(search_grid, budget=14)
    assert 10 < result.evaluations <= 14
    assert result.genome.columns == (0, 1, 2, 3, 4)
    assert run(search_grid, budget=2).evaluations <= 2


def test_a_repeated_candidate_costs_no_evaluation():
    objective = make_objective(budget=1)
    first = objective.judge(make_default(5))
    assert objective.judge(make_default(5)) == first
    assert objective.evaluations == 1
    with pytest.raises(BudgetSpent):
        objective.judge(Genome(kernel="linear", log2_c=0, log2_gamma=0, columns=(0,)))


def test_fitness_is_the_auc_less_the_charge():
    one = Genome(kernel="linear", log2_c=0.0, log2_gamma=0.0, columns=(0,))
    both = Genome(kernel="linear", log2_c=0.0, log2_gamma=0.0, columns=(0, 1))
    free = QUICK.model_copy(update={"feature_charge": 0.0})
    plain = Objective(TABLE.values, TABLE.malignant, TABLE.patients, settings=free, seed=7)
    charged = make_objective()
    for genome in (one, both):
        paid = QUICK.feature_charge * len(genome.columns)
        assert plain.judge(genome) - charged.judge(genome) == pytest.approx(paid)


def test_power_scaling_makes_a_skewed_signal_linear():
    rng = np.random.default_rng(1)
    labels = np.repeat([False, True], 60)
    values = np.exp(2 * rng.normal(size=(120, 1)) + 2.0 * labels[:, None])
    patients = np.arange(120)
    plane = Genome(kernel="linear", log2_c=-3.0, log2_gamma=0.0, columns=(0,))
    for scaling in ("power", "standard"):
        settings = QUICK.model_copy(update={"scaling": scaling})
        fitness = Objective(values, labels, patients, settings=settings, seed=1).judge(plane)
        assert fitness > 0.7


def test_genes_are_read_as_they_were_written():
    genome = Genome(kernel="rbf", log2_c=1.25, log2_gamma=-3.5, columns=(1, 4))
    assert decode(encode(genome, 5)) == genome


def test_too_few_patients_for_the_folds_are_a_fault_with_advice():
    few = make_table(patients=6, slices=2)
    with pytest.raises(SetupFault, match="fewer folds"):
        Objective(
            few.values,
            few.malignant,
            few.patients,
            settings=QUICK.model_copy(update={"folds": 5}),
            seed=1,
        )
