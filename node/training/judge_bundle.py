"""Judge a bundle on the test patients of its own split: ``onconode evaluate``."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from node.evaluation.case_figures import measure_cases, measure_tumour_free
from node.evaluation.case_results import CaseResults
from node.pipeline import Toolbox, open_toolbox
from node.registry.bundle import Bundle
from node.training.datasets.labelled import LabelledCase
from node.training.judge import judge_cases
from node.training.recipe import load_recipe
from node.training.segmenter import read_dataset, read_negatives, split_cases


@dataclass(frozen=True, kw_only=True, eq=False)
class TestSet:
    """Cases of the test patients of a bundle's split, as many as are to be judged.

    Parameters
    ----------
    cases, tumour_free : list of LabelledCase
        Of the data set, and of the second set that holds no tumour.
    split_patients : dict
        Patients of each part, for both sets.
    seed : int
        Of the recipe.
    """

    __test__ = False  # not a class of tests, whatever its name

    cases: list[LabelledCase]
    tumour_free: list[LabelledCase]
    split_patients: dict[str, dict[str, int]]
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Judgement:
    """What a bundle made of its test patients, and the figures of it."""

    test_set: TestSet
    toolbox: Toolbox
    results: CaseResults
    tumour_free: CaseResults
    figures: dict[str, Any]


def choose_test_set(
    cases: Sequence[LabelledCase],
    tumour_free: Sequence[LabelledCase],
    parts: dict[str, str],
    *,
    seed: int,
    every: int = 1,
    limit: int | None = None,
) -> TestSet:
    """Take the cases of the test patients.

    Parameters
    ----------
    cases, tumour_free : sequence of LabelledCase
        Of all parts.
    parts : dict of patient to part
    seed : int
    every : int
        Only every n-th case of each set.
    limit : int, optional
        At most so many cases of each set, evenly drawn over them.
    """

    def choose(items: Sequence[LabelledCase]) -> list[LabelledCase]:
        chosen = [item for item in items if parts[item.patient] == "test"][::every]
        if limit is None or len(chosen) <= limit:
            return chosen
        places = np.linspace(0, len(chosen) - 1, limit).round().astype(int)
        return [chosen[place] for place in places]

    return TestSet(
        cases=choose(cases),
        tumour_free=choose(tumour_free),
        split_patients={
            "with_tumour": _count_patients(cases, parts),
            "tumour_free": _count_patients(tumour_free, parts),
        },
        seed=seed,
    )


def read_test_set(
    bundle: Bundle,
    *,
    data_dir: Path,
    negatives_dir: Path | None,
    every: int = 1,
    limit: int | None = None,
) -> TestSet:
    """Read the test patients of a bundle's own recipe from the data sets."""
    recipe = load_recipe(bundle.path / "recipe.yaml")
    cases = read_dataset(recipe, data_dir)
    tumour_free = read_negatives(recipe, negatives_dir)
    parts = {**split_cases(cases, recipe), **split_cases(tumour_free, recipe)}
    return choose_test_set(cases, tumour_free, parts, seed=recipe.seed, every=every, limit=limit)


def judge_test_set(bundle: Bundle, test_set: TestSet) -> Judgement:
    """Run a bundle over a test set and measure it."""
    toolbox = open_toolbox(bundle)
    results = judge_cases(test_set.cases, toolbox)
    tumour_free = judge_cases(test_set.tumour_free, toolbox, description="tumour-free cases")
    return Judgement(
        test_set=test_set,
        toolbox=toolbox,
        results=results,
        tumour_free=tumour_free,
        figures={
            "split_patients": test_set.split_patients,
            **measure_cases(results, seed=test_set.seed),
            "quiet": measure_tumour_free(tumour_free, seed=test_set.seed),
        },
    )


def _count_patients(items: Sequence[LabelledCase], parts: dict[str, str]) -> dict[str, int]:
    patients = {item.patient for item in items}
    return {part: sum(parts[p] == part for p in patients) for part in dict.fromkeys(parts.values())}
