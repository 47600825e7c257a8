"""Control groups of the genetic search: grid, random and TPE, over the same SVMs.

All start from the default SVM and may cross-validate the same number of candidates: the budget of
the objective, which none of them but the first can do without.
"""

import itertools
from typing import Any

import numpy as np

from node.training.svm_objective import (
    KERNELS,
    LOG2_C,
    LOG2_GAMMA,
    Genome,
    Objective,
    make_default,
)


def keep_default(objective: Objective, *, seed: int) -> None:
    """Search nothing: the default SVM on all features."""
    del seed  # nothing is drawn
    objective.judge(make_default(objective.count))


def search_grid(objective: Objective, *, seed: int) -> None:
    """Try a regular grid of kernel, C and gamma on all features; a mask has too many corners."""
    del seed  # nothing is drawn
    objective.judge(make_default(objective.count))
    # g points of C for the linear kernel and g * g of C and gamma for the other.
    side = max(1, int((np.sqrt(4 * objective.budget - 3) - 1) / 2))
    every = tuple(range(objective.count))
    costs, gammas = np.linspace(*LOG2_C, side), np.linspace(*LOG2_GAMMA, side)
    grid = [("linear", cost, 0.0) for cost in costs]
    grid += [("rbf", cost, gamma) for cost, gamma in itertools.product(costs, gammas)]
    for kernel, cost, gamma in grid:
        objective.judge(
            Genome(
                kernel=kernel,
                log2_c=round(float(cost), 2),
                log2_gamma=round(float(gamma), 2),
                columns=every,
            )
        )


def search_random(objective: Objective, *, seed: int) -> None:
    """Draw candidates as the first generation of the genetic search is drawn."""
    rng = np.random.default_rng(seed)
    objective.judge(make_default(objective.count))
    while objective.evaluations < objective.budget:
        objective.judge(_draw(objective.count, rng))


def search_tpe(objective: Objective, *, seed: int) -> None:
    """Tree-structured Parzen estimator over kernel, C, gamma and one switch for each feature.

    References
    ----------
    Bergstra et al., NeurIPS 2011; Akiba et al., Optuna, KDD 2019, doi:10.1145/3292500.3330701.
    """
    import optuna  # deferred: only this search needs it

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    switches = [f"feature_{i}" for i in range(objective.count)]
    study.enqueue_trial(
        {"kernel": "rbf", "log2_c": 0.0, "log2_gamma": 0.0, **dict.fromkeys(switches, True)}
    )

    def judge(trial: Any) -> float:
        kernel = trial.suggest_categorical("kernel", KERNELS)
        cost = trial.suggest_float("log2_c", *LOG2_C)
        gamma = trial.suggest_float("log2_gamma", *LOG2_GAMMA)
        kept = [trial.suggest_categorical(name, (False, True)) for name in switches]
        columns = tuple(i for i, keep in enumerate(kept) if keep) or (0,)
        return objective.judge(
            Genome(
                kernel=kernel,
                log2_c=round(cost, 2),
                log2_gamma=round(gamma, 2) if kernel == "rbf" else 0.0,
                columns=columns,
            )
        )

    study.optimize(judge, n_trials=objective.budget)


def _draw(count: int, rng: np.random.Generator) -> Genome:
    mask = rng.random(count) < rng.uniform(0.1, 0.6)
    kernel = "rbf" if rng.random() < 0.7 else "linear"
    cost, gamma = rng.uniform(*LOG2_C), rng.uniform(*LOG2_GAMMA)
    return Genome(
        kernel=kernel,
        log2_c=round(float(cost), 2),
        log2_gamma=round(float(gamma), 2) if kernel == "rbf" else 0.0,
        columns=tuple(int(i) for i in np.flatnonzero(mask)) or (0,),
    )
