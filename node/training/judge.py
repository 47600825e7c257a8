"""Judge a bundle on the test patients of its own split, slice by slice, as it would serve."""

from collections.abc import Sequence

import numpy as np
from rich.progress import track

from node.classify.predict import classify_lesion
from node.domain.finding import INDETERMINATE
from node.evaluation.overlap import measure_dice
from node.evaluation.slice_figures import SliceResults
from node.pipeline import Toolbox
from node.segment.lesions import find_lesions
from node.training.datasets.labelled import LabelledCase

HIT_DICE = 0.1


def judge_slices(slices: Sequence[LabelledCase], toolbox: Toolbox) -> SliceResults:
    """Run the bundle over labelled slices.

    The largest lesion found is the one that is classified; where nothing was found the slice
    counts against Dice and detection.
    """
    rows = [_judge(item, toolbox) for item in track(slices, description="test patients")]
    dice, hit, probability, decided, predicted = zip(*rows, strict=True) if rows else ((),) * 5
    return SliceResults(
        patients=np.array([item.patient for item in slices]),
        tumour_types=np.array([item.tumour_type for item in slices]),
        malignant=np.array([item.malignant for item in slices]),
        dice=np.array(dice),
        found=np.isfinite(np.array(probability, dtype=float)),
        hit=np.array(hit),
        probability=np.array(probability),
        decided=np.array(decided),
        predicted_types=np.array(predicted),
    )


def _judge(item: LabelledCase, toolbox: Toolbox) -> tuple[float, bool, float, bool, str]:
    probability = toolbox.network.predict(item.volumes)
    segmentation = find_lesions(
        item.volume, probability, toolbox.lesions, model_digest=toolbox.bundle.digest
    )
    dice = measure_dice(segmentation.labels, item.mask)
    if not segmentation.lesions:
        return dice, False, float("nan"), False, ""
    largest = segmentation.lesions[0]
    hit = measure_dice(segmentation.labels == largest.number, item.mask) >= HIT_DICE
    if toolbox.extractor is None or toolbox.classifier is None or toolbox.abstain is None:
        return dice, hit, float("nan"), False, ""  # the bundle only segments
    vector = toolbox.extractor.extract(item.volume, segmentation, largest)
    finding = classify_lesion(vector, toolbox.classifier, toolbox.abstain)
    if finding.malignancy_probability is None:
        return dice, hit, float("nan"), False, ""
    decided = finding.assessment != INDETERMINATE
    return dice, hit, finding.malignancy_probability, decided, finding.predicted_type
