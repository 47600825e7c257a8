"""Reproducibility of features: how alike they stay when image and mask are perturbed.

References
----------
Zwanenburg et al., Sci Rep 9:614, 2019, doi:10.1038/s41598-018-36938-4.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.features import FeatureVector
from node.evaluation.contours import keep_largest
from node.evaluation.icc import Reliability, measure_reliability
from node.evaluation.overlap import measure_dice
from node.evaluation.perturb import Perturbation, Spacing, perturb

#: Takes voxels (z, y, x), mask (z, y, x) and spacing (z, y, x) in mm.
Extract = Callable[[NDArray[Any], NDArray[np.bool_], Spacing], FeatureVector]


@dataclass(frozen=True, kw_only=True, eq=False)
class LesionCase:
    """One lesion of one patient.

    Parameters
    ----------
    identifier : str
    voxels : ndarray, shape (z, y, x)
    mask : ndarray of bool, shape (z, y, x)
        Its largest connected piece is the lesion.
    spacing_mm : tuple of float
        Between slices, rows and columns.
    """

    identifier: str
    voxels: NDArray[Any]
    mask: NDArray[np.bool_]
    spacing_mm: Spacing


@dataclass(frozen=True, kw_only=True, eq=False)
class Repeats:
    """Features of perturbed versions.

    Parameters
    ----------
    names : tuple of str
    values : ndarray of float64, shape (cases, repeats, features)
        NaN where a feature is undefined.
    dice : ndarray of float64, shape (cases, repeats)
        Of the redrawn contour with the given one: how far the readers that were played disagree.
    seconds_per_case : float
        Of one process.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    dice: NDArray[np.float64]
    seconds_per_case: float

    def reliabilities(self) -> dict[str, Reliability]:
        """ICC(1,1) of each feature, in the order of the profile."""
        return {
            name: measure_reliability(self.values[:, :, i]) for i, name in enumerate(self.names)
        }


def measure_repeats(
    cases: Sequence[LesionCase],
    make_extract: Callable[[], Extract],
    *,
    perturbation: Perturbation,
    repeats: int,
    rng: np.random.Generator,
    jobs: int = 1,
    progress: Callable[[Iterable[int], int], Iterable[int]] | None = None,
) -> Repeats:
    """Extract the features of ``repeats`` perturbed versions of every case.

    The unperturbed image is not among them: it alone was not interpolated.

    Parameters
    ----------
    cases : sequence of LesionCase
        One for each patient: the interval of the ICC takes them as independent.
    make_extract : callable
        Makes the extractor, once in each process; must be picklable where ``jobs`` exceeds 1.
    perturbation : Perturbation
    repeats : int
    rng : numpy.random.Generator
        Every case draws from a child of its own, so the result does not depend on ``jobs``.
    jobs : int
        Processes.
    progress : callable, optional
        Takes the finished cases and their number; passes them on.

    Raises
    ------
    ValueError
        If a mask is empty, or there are fewer than two cases or repeats.
    """
    if len(cases) < 2 or repeats < 2:
        raise ValueError(f"{len(cases)} cases and {repeats} repeats, expected at least 2 of each")
    tasks = [
        _Task(case=case, perturbation=perturbation, repeats=repeats, rng=child)
        for case, child in zip(cases, rng.spawn(len(cases)), strict=True)
    ]
    measured: dict[int, _Measured] = {}
    finished = _run(tasks, make_extract, jobs, measured)
    for _ in progress(finished, len(tasks)) if progress else finished:
        pass
    ordered = [measured[i] for i in range(len(tasks))]
    return Repeats(
        names=ordered[0].names,
        values=np.stack([one.values for one in ordered]),
        dice=np.array([one.dice for one in ordered]),
        seconds_per_case=float(np.mean([one.seconds for one in ordered])),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    case: LesionCase
    perturbation: Perturbation
    repeats: int
    rng: np.random.Generator


@dataclass(frozen=True, kw_only=True, eq=False)
class _Measured:
    names: tuple[str, ...]
    values: NDArray[np.float64]
    dice: list[float]
    seconds: float


def _run(
    tasks: Sequence[_Task],
    make_extract: Callable[[], Extract],
    jobs: int,
    measured: dict[int, _Measured],
) -> Iterator[int]:
    """Fill ``measured`` and yield the number of each task when it is done."""
    if jobs == 1:
        extract = make_extract()
        for i, task in enumerate(tasks):
            measured[i] = _measure(task, extract)
            yield i
        return
    # Spawned, not forked: PyRadiomics and SimpleITK start threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        jobs, mp_context=context, initializer=_Worker.start, initargs=(make_extract,)
    ) as pool:
        futures = {pool.submit(_Worker.measure, task): i for i, task in enumerate(tasks)}
        for future in as_completed(futures):
            measured[futures[future]] = future.result()
            yield futures[future]


class _Worker:
    """The extractor of a process of the pool, made when the process starts."""

    extract: Extract

    @classmethod
    def start(cls, make_extract: Callable[[], Extract]) -> None:
        cls.extract = staticmethod(make_extract())

    @classmethod
    def measure(cls, task: _Task) -> _Measured:
        return _measure(task, cls.extract)


def _measure(task: _Task, extract: Extract) -> _Measured:
    started = time.perf_counter()
    case = task.case
    lesion = keep_largest(case.mask)
    vectors, dice = [], []
    for _ in range(task.repeats):
        version = perturb(
            case.voxels,
            lesion,
            spacing_mm=case.spacing_mm,
            perturbation=task.perturbation,
            rng=task.rng,
        )
        vectors.append(extract(version.voxels, version.mask, case.spacing_mm))
        dice.append(measure_dice(version.mask, version.moved_mask))
    return _Measured(
        names=vectors[0].names,
        values=np.stack([vector.values for vector in vectors]),
        dice=dice,
        seconds=time.perf_counter() - started,
    )
