"""What readers think of a model's assessments: agreement over time, and calibration against them.

Readers who answer are no random sample: whoever disagrees speaks up sooner. Figures from them tell
when something changes, and are no estimate of accuracy.

References
----------
Wilson, J Am Stat Assoc 22(158), 1927, doi:10.1080/01621459.1927.10502953 (interval of a share).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from scipy.stats import binomtest

from node.evaluation.agreement import Kappa, measure_kappa
from node.evaluation.calibration import (
    ReliabilityBin,
    measure_brier,
    measure_calibration_error,
    measure_reliability,
)

MINIMUM_READINGS = 10
"""Fewer are counted, but no kappa and no reliability is made of them."""
BINS = 5


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reader's word on one lesion.

    Parameters
    ----------
    at : datetime
    study : str
        Readings of one study are not independent of each other.
    agrees : bool
    model_class, reader_class : str
        Empty where nothing was said.
    malignancy_probability : float or None
        Of the model.
    reader_malignant : bool or None
        None where the reader has not said so.
    """

    at: datetime
    study: str
    agrees: bool
    model_class: str = ""
    reader_class: str = ""
    malignancy_probability: float | None = None
    reader_malignant: bool | None = None


@dataclass(frozen=True, kw_only=True)
class MonthOfReadings:
    """Share of readings that agree in a calendar month (UTC), with its 95 % Wilson interval."""

    month: str
    agreed: int
    count: int
    interval_95: tuple[float, float]

    @property
    def share(self) -> float:
        """Of all readings of the month."""
        return self.agreed / self.count


@dataclass(frozen=True, kw_only=True)
class ReaderCalibration:
    """Probabilities of a model against what readers say.

    Parameters
    ----------
    bins : tuple of ReliabilityBin
    brier, error : float
        Brier score, and expected calibration error.
    count : int
    """

    bins: tuple[ReliabilityBin, ...]
    brier: float
    error: float
    count: int


def count_by_month(readings: Sequence[Reading]) -> tuple[MonthOfReadings, ...]:
    """Count agreement by month, the earliest first; months without a reading are left out."""
    months: dict[str, list[bool]] = defaultdict(list)
    for reading in readings:
        months[f"{reading.at:%Y-%m}"].append(reading.agrees)
    found = []
    for month, answers in sorted(months.items()):
        agreed = sum(answers)
        interval = binomtest(agreed, len(answers)).proportion_ci(method="wilson")
        found.append(
            MonthOfReadings(
                month=month,
                agreed=agreed,
                count=len(answers),
                interval_95=(float(interval.low), float(interval.high)),
            )
        )
    return tuple(found)


def compare_classes(readings: Sequence[Reading]) -> Kappa | None:
    """Cohen's kappa of the classes that model and readers name; None of too few."""
    named = [each for each in readings if each.model_class and each.reader_class]
    if len(named) < MINIMUM_READINGS:
        return None
    model = np.array([each.model_class for each in named])
    return measure_kappa(model, np.array([each.reader_class for each in named]))


def compare_probabilities(
    readings: Sequence[Reading], *, rng: np.random.Generator
) -> ReaderCalibration | None:
    """Calibration against the readers; None of too few, or where they name one class only."""
    pairs = [
        (reading.study, reading.malignancy_probability, reading.reader_malignant)
        for reading in readings
        if reading.malignancy_probability is not None and reading.reader_malignant is not None
    ]
    if len(pairs) < MINIMUM_READINGS or len({malignant for *_, malignant in pairs}) == 1:
        return None
    studies, probabilities, answers = zip(*pairs, strict=True)
    truth, probability = np.array(answers, bool), np.array(probabilities, np.float64)
    bins = measure_reliability(truth, probability, np.array(studies), rng=rng, bins=BINS)
    return ReaderCalibration(
        bins=tuple(bins),
        brier=measure_brier(
            np.stack([truth, ~truth], axis=1), np.stack([probability, 1 - probability], axis=1)
        ),
        error=measure_calibration_error(bins),
        count=len(pairs),
    )
