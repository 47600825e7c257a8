"""Run a bundle over labelled cases as it would serve, and keep what judges it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from node.classify.predict import classify_lesion
from node.config.settings import ReportSettings
from node.domain.finding import INDETERMINATE, Finding
from node.domain.prompt import Prompt
from node.domain.segmentation import Segmentation
from node.domain.study import Series
from node.domain.volume import Volume
from node.evaluation.case_results import CaseResults
from node.evaluation.lesionwise import HIT_DICE, LesionMatch, match_lesions
from node.evaluation.overlap import measure_dice
from node.evaluation.surface import MaskFigures, measure_masks
from node.pipeline import Case, Toolbox, segment
from node.training.datasets.labelled import LabelledCase


@dataclass(frozen=True, kw_only=True, eq=False)
class _Row:
    masks: MaskFigures
    lesions: LesionMatch
    hit: bool
    quiet_slices: float
    finding: Finding | None


def judge_cases(
    cases: Sequence[LabelledCase], toolbox: Toolbox, *, description: str = "test cases"
) -> CaseResults:
    """Run the bundle over labelled slices or volumes.

    The largest lesion found is the one that is classified; where nothing was found the case
    counts against Dice and detection.
    """
    rows = [_judge(item, toolbox) for item in track(cases, description=description)]
    findings = [row.finding for row in rows]
    probability = np.array([_probability(finding) for finding in findings], float)
    return CaseResults(
        patients=np.array([item.patient for item in cases], np.str_),
        identifiers=np.array([item.identifier for item in cases], np.str_),
        tumour_types=np.array([item.tumour_type for item in cases], np.str_),
        malignant=np.array([bool(item.malignant) for item in cases], bool),
        known=np.array([item.malignant is not None for item in cases], bool),
        unit="volumes" if any(len(item.mask) > 1 for item in cases) else "slices",
        dice=np.array([row.masks.dice for row in rows], float),
        found=np.isfinite(probability),
        hit=np.array([row.hit for row in rows], bool),
        probability=probability,
        decided=np.array([f is not None and f.assessment != INDETERMINATE for f in findings], bool),
        predicted_types=np.array(
            [f.predicted_type if f and _is_assessed(f) else "" for f in findings], np.str_
        ),
        masks=tuple(row.masks for row in rows),
        lesions=tuple(row.lesions for row in rows),
        quiet_slices=np.array([row.quiet_slices for row in rows], float),
        notes=tuple(item.notes for item in cases),
        reasons=np.array([f.reason if f else "" for f in findings], np.str_),
    )


def segment_case(
    item: LabelledCase, toolbox: Toolbox, *, channels: tuple[Volume, ...] | None = None
) -> Segmentation:
    """Outline the lesions of a labelled case by the stage that serves.

    Parameters
    ----------
    item : LabelledCase
    toolbox : Toolbox
    channels : tuple of Volume, optional
        In place of the case's own volumes, on the same grid.
    """
    volumes = item.volumes if channels is None else channels
    prompts: tuple[Prompt, ...] = ()
    if item.point_lps_mm is not None:
        prompts = (Prompt(point_lps_mm=item.point_lps_mm, label=item.identifier),)
    case = Case(
        series=Series(
            series_instance_uid=volumes[0].series_instance_uid,
            study_instance_uid=volumes[0].study_instance_uid,
            modality=volumes[0].modality,
            instances=(),
        ),
        toolbox=toolbox,
        out_dir=Path(),
        prefix="",
        settings=ReportSettings(),
        prompts=prompts,
        volume=volumes[0],
        channels=volumes,
    )
    segmentation = segment(case).segmentation
    assert segmentation is not None
    return segmentation


def _judge(item: LabelledCase, toolbox: Toolbox) -> _Row:
    segmentation = segment_case(item, toolbox)
    spacing_mm = item.volume.geometry.spacing_mm
    hit, finding = False, None
    if segmentation.lesions:
        largest = segmentation.lesions[0]
        hit = measure_dice(segmentation.labels == largest.number, item.mask) >= HIT_DICE
        if toolbox.extractor and toolbox.classifier and toolbox.abstain:
            vector = toolbox.extractor.extract(item.volume, segmentation, largest)
            finding = classify_lesion(vector, toolbox.classifier, toolbox.abstain)
    return _Row(
        masks=measure_masks(item.mask, segmentation.labels, spacing_mm),
        lesions=match_lesions(
            item.mask,
            segmentation.labels,
            spacing_mm,
            one_lesion=item.point_lps_mm is not None,  # somebody points at one nodule
        ),
        hit=hit,
        quiet_slices=_share_quiet(item.mask, segmentation.labels),
        finding=finding,
    )


def _share_quiet(reference: NDArray[np.bool_], labels: NDArray[np.uint8]) -> float:
    """Share of the slices without tumour that hold no mark; NaN if every slice holds tumour."""
    free = ~np.asarray(reference.any(axis=(1, 2)))
    quiet = ~np.asarray(labels.any(axis=(1, 2)))
    return float(quiet[free].mean()) if free.any() else float("nan")


def _is_assessed(finding: Finding | None) -> bool:
    return finding is not None and finding.malignancy_probability is not None


def _probability(finding: Finding | None) -> float:
    if finding is None or finding.malignancy_probability is None:
        return float("nan")
    return finding.malignancy_probability
