"""Choose what counts as a lesion, on validation patients."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from rich.progress import track

from node.evaluation.overlap import measure_dice
from node.evaluation.paired import mean_by_patient
from node.segment.lesions import LesionSpec
from node.training.datasets.labelled import LabelledCase
from node.training.segment_cases import CaseSegmenter

log = structlog.get_logger()


def choose_lesions(
    cases: Sequence[LabelledCase],
    *,
    segmenter: CaseSegmenter,
    candidates: Mapping[str, Sequence[float]],
) -> tuple[LesionSpec, dict[str, float]]:
    """Try every combination of the candidates.

    The best one has the highest mean of two figures: Dice over cases with a tumour, and the share
    of tumour-free cases without any mark; both are means over patients, each the mean of its cases.

    Parameters
    ----------
    cases : sequence of LabelledCase
        Of validation patients, with and without tumour.
    segmenter : CaseSegmenter
    candidates : mapping of str to sequence of float
        Values for each field of ``LesionSpec``.

    Returns
    -------
    LesionSpec
    dict of str to float
        ``dice`` and ``quiet`` (NaN without tumour-free cases) of the chosen one.
    """
    specs = [
        LesionSpec(**dict(zip(candidates, values, strict=True)))
        for values in itertools.product(*candidates.values())
    ]
    scores = np.zeros((len(specs), len(cases)))
    for column, item in enumerate(track(cases, description="lesion sizes")):
        for row, spec in enumerate(specs):
            found = segmenter.segment(item, spec)
            scores[row, column] = measure_dice(found.labels, item.mask)
    has_tumour = np.array([bool(item.mask.any()) for item in cases])
    patients = np.array([item.patient for item in cases])
    dice = _mean_over_patients(patients[has_tumour], scores[:, has_tumour])
    quiet = _mean_over_patients(patients[~has_tumour], scores[:, ~has_tumour])
    best = int(np.where(np.isnan(quiet), dice, (dice + quiet) / 2).argmax())
    figures = {"dice": float(dice[best]), "quiet": float(quiet[best])}
    log.info("lesions.chosen", **asdict(specs[best]), **figures)
    return specs[best], figures


def _mean_over_patients(
    patients: NDArray[np.str_], scores: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of each row of the scores; NaN without cases."""
    if not len(patients):
        return np.full(len(scores), np.nan)
    return np.array([mean_by_patient(patients, row)[1].mean() for row in scores])


def write_choice(path: Path, spec: LesionSpec, figures: Mapping[str, float]) -> None:
    """Keep the choice beside the network that it was made for."""
    path.write_text(json.dumps({"lesions": asdict(spec), **figures}, indent=1) + "\n")


def read_choice(path: Path) -> LesionSpec:
    """Read what ``write_choice`` wrote."""
    return LesionSpec(**json.loads(path.read_text())["lesions"])
