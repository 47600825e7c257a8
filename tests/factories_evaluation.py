"""Results of a bundle on four made cases."""

import numpy as np

from node.evaluation.case_results import CaseResults
from node.evaluation.lesionwise import match_lesions
from node.evaluation.surface import measure_masks

SPACING_MM = (5.0, 1.0, 1.0)


def make_case_results(predicted, *, classified=True, tumour=True, patients=("7", "7", "8", "MR9")):
    """Cases of one tumour of 8 x 8 mm each; ``predicted`` are the columns that are marked."""
    masks, lesions = [], []
    for columns in predicted:
        reference, mark = np.zeros((2, 1, 40, 40), bool)
        reference[0, 10:18, 10:18] = tumour
        if columns:
            mark[0, 10:18, slice(*columns)] = True
        masks.append(measure_masks(reference, mark, SPACING_MM))
        lesions.append(match_lesions(reference, mark, SPACING_MM))
    count = len(predicted)
    found = np.array([classified and bool(columns) for columns in predicted])
    return CaseResults(
        patients=np.array(patients),
        identifiers=np.array([str(n) for n in range(count)]),
        tumour_types=np.array(["meningioma", "meningioma", "pituitary", "glioma"]),
        malignant=np.array([False, False, False, True]),
        known=np.ones(count, bool),
        dice=np.array([one.dice for one in masks]),
        found=found,
        hit=np.array([one.dice >= 0.1 for one in masks]),
        probability=np.where(found, [0.1, 0.6, 0.3, 0.9], np.nan),
        decided=found & np.array([True, False, True, True]),
        predicted_types=np.where(found, ["meningioma", "glioma", "pituitary", "glioma"], ""),
        masks=tuple(masks),
        lesions=tuple(lesions),
        quiet_slices=np.array([np.nan, np.nan, 0.5, np.nan]),
        notes=tuple({"identifiers": "letters" if p[0] == "M" else "digits"} for p in patients),
        reasons=np.where(
            found, ["", "probability between 0.4 and 0.6: too close to call", "", ""], ""
        ),
    )


ALL_MARKED = [(10, 18), (10, 14), (10, 18), (10, 18)]
