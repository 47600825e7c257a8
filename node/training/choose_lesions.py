"""Choose what counts as a lesion, on validation patients."""

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import structlog
from rich.progress import track

from node.evaluation.overlap import measure_dice
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
    of tumour-free cases without any mark.

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
    dice = scores[:, has_tumour].mean(axis=1)
    quiet = (
        scores[:, ~has_tumour].mean(axis=1) if (~has_tumour).any() else np.full(len(specs), np.nan)
    )
    best = int(np.where(np.isnan(quiet), dice, (dice + quiet) / 2).argmax())
    figures = {"dice": float(dice[best]), "quiet": float(quiet[best])}
    log.info("lesions.chosen", **asdict(specs[best]), **figures)
    return specs[best], figures


def write_choice(path: Path, spec: LesionSpec, figures: Mapping[str, float]) -> None:
    """Keep the choice beside the network that it was made for."""
    path.write_text(json.dumps({"lesions": asdict(spec), **figures}, indent=1) + "\n")


def read_choice(path: Path) -> LesionSpec:
    """Read what ``write_choice`` wrote."""
    return LesionSpec(**json.loads(path.read_text())["lesions"])
