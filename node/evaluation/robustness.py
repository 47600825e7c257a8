"""Robustness curves: how a figure falls as images get worse, for several models side by side."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import SetupFault
from node.evaluation.degrade import Degradation, Spacing
from node.evaluation.discrimination import bootstrap_interval
from node.evaluation.overlap import measure_dice
from node.evaluation.paired import compare_paired, mean_by_patient


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageCase:
    """A case as arrays.

    Parameters
    ----------
    patient : str
    channels : tuple of ndarray, each of shape (z, y, x)
        One for each role.
    mask : ndarray of bool, shape (z, y, x)
    spacing_mm : tuple of float
    given : object
        Handed to the model with the degraded channels: whatever else it needs of the case.
    """

    patient: str
    channels: tuple[NDArray[Any], ...]
    mask: NDArray[np.bool_]
    spacing_mm: Spacing
    given: Any = None


#: Takes a case whose channels may be degraded; returns its mask, shape (z, y, x).
Predict = Callable[[ImageCase], NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class RobustnessPoint:
    """One model at one level of one degradation.

    Parameters
    ----------
    degradation, unit : str
    level : float
    model : str
    dice : float
        Mean over patients of each one's mean over cases; on tumour-free images (``group``
        "tumour-free") this is the share of cases left without a mark.
    low, high : float
        95 % interval by bootstrap over patients.
    less_than_first : float
        Dice of the first model less that of this one, on the same cases; 0 for the first.
    p_value : float
        Of that difference (Wilcoxon over patients); 1 for the first model.
    patients, cases : int
    group : str
    """

    degradation: str
    unit: str
    level: float
    model: str
    dice: float
    low: float
    high: float
    less_than_first: float
    p_value: float
    patients: int
    cases: int
    group: str = "tumour"


def measure_robustness(
    predict: Mapping[str, Predict],
    cases: Sequence[ImageCase],
    degradations: Sequence[Degradation],
    *,
    seed: int,
    group: str = "tumour",
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> list[RobustnessPoint]:
    """Measure every model on every level of every degradation.

    All models see the same degraded images. A level that means nothing for some cases is
    measured on the others; where it means nothing for all of them it is left out.

    Parameters
    ----------
    predict : mapping of str to callable
        Name of each model to what it makes of a case; the first one is compared with the others.
    cases : sequence of ImageCase
    degradations : sequence of Degradation
    seed : int
        Of noise and bootstrap; the noise of a case depends on nothing else.
    group : str
        Written into the points.
    progress : callable
        Wraps the loop over cases, e.g. ``rich.progress.track``.

    Returns
    -------
    list of RobustnessPoint
    """
    steps = [(d, level) for d in degradations for level in dict.fromkeys(d.levels)]
    dice = np.full((len(steps), len(predict), len(cases)), np.nan)
    for column, case in enumerate(progress(cases)):
        untouched: list[float] = []
        for row, (degradation, level) in enumerate(steps):
            if level == degradation.levels[0] and untouched:
                dice[row, :, column] = untouched
                continue
            worse = _degrade(case, degradation, level, seed=[seed, column])
            if worse is None:
                continue
            dice[row, :, column] = [
                measure_dice(model(worse), case.mask) for model in predict.values()
            ]
            if level == degradation.levels[0]:
                untouched = dice[row, :, column].tolist()
    patients = np.array([case.patient for case in cases])
    return [
        point
        for row, (degradation, level) in enumerate(steps)
        if np.isfinite(dice[row, 0]).any() and _applies(dice, steps, degradation)
        for point in _summarise(
            dice[row], patients, list(predict), degradation, level, seed=seed, group=group
        )
    ]


def write_points(path: Path, points: Sequence[RobustnessPoint]) -> None:
    """Write the points as CSV, one a line."""
    names = [field.name for field in fields(RobustnessPoint)]
    with path.open("w", newline="") as table:
        writer = csv.DictWriter(table, names)
        writer.writeheader()
        for point in points:
            values = {name: getattr(point, name) for name in names}
            writer.writerow(
                {n: f"{v:.6g}" if isinstance(v, float) else v for n, v in values.items()}
            )


def _degrade(
    case: ImageCase, degradation: Degradation, level: float, *, seed: list[int]
) -> ImageCase | None:
    rng = np.random.default_rng(seed)
    if level == degradation.levels[0]:
        return case
    worse = [
        degradation.apply(np.asarray(voxels, np.float32), case.spacing_mm, level, rng)
        for voxels in case.channels
    ]
    channels = tuple(voxels for voxels in worse if voxels is not None)
    if len(channels) < len(worse):
        return None
    return ImageCase(
        patient=case.patient,
        channels=channels,
        mask=case.mask,
        spacing_mm=case.spacing_mm,
        given=case.given,
    )


def _applies(
    dice: NDArray[np.float64], steps: Sequence[tuple[Degradation, float]], degradation: Degradation
) -> bool:
    """Tell whether more than the untouched images could be measured."""
    rows = [i for i, (d, _) in enumerate(steps) if d is degradation]
    return bool(np.isfinite(dice[rows[1:], 0]).any())


def _summarise(
    dice: NDArray[np.float64],
    patients: NDArray[Any],
    models: Sequence[str],
    degradation: Degradation,
    level: float,
    *,
    seed: int,
    group: str,
) -> list[RobustnessPoint]:
    measured = np.isfinite(dice[0])
    names = patients[measured]
    points = []
    for place, model in enumerate(models):
        values = dice[place, measured]
        owners, means = mean_by_patient(names, values)
        rng = np.random.default_rng(seed)
        low, high = bootstrap_interval(owners, _mean_of(means), rng=rng)
        against = compare_paired(names, dice[0, measured], values, rng=rng, draws=1)
        points.append(
            RobustnessPoint(
                degradation=degradation.name,
                unit=degradation.unit,
                level=level,
                model=model,
                dice=float(means.mean()),
                low=low,
                high=high,
                less_than_first=against.mean_difference,
                p_value=against.p_value,
                patients=len(owners),
                cases=int(measured.sum()),
                group=group,
            )
        )
    return points


def _mean_of(values: NDArray[np.float64]) -> Callable[[NDArray[np.intp]], float]:
    return lambda drawn: float(values[drawn].mean())


def read_points(path: Path) -> list[RobustnessPoint]:
    """Read what ``write_points`` wrote.

    Raises
    ------
    SetupFault
        If the file is no such table.
    """
    kinds = {field.name: field.type for field in fields(RobustnessPoint)}
    with path.open(newline="") as table:
        rows = list(csv.DictReader(table))
    if not rows or set(rows[0]) != set(kinds):
        raise SetupFault(
            f"{path.name} is no table of robustness curves; expected the columns "
            f"{', '.join(kinds)}, as `onconode evaluate robustness` writes them"
        )
    return [
        RobustnessPoint(**{name: kinds[name](value) for name, value in row.items()})  # type: ignore[operator]  # the fields are str, int and float
        for row in rows
    ]
