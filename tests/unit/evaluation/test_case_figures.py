import functools
import json

import numpy as np
import pytest
from factories_evaluation import ALL_MARKED, make_case_results

from node.evaluation.case_figures import measure_cases, measure_tumour_free


@functools.cache
def figures_of(*, one_missed=False):
    return measure_cases(
        make_case_results([*ALL_MARKED[:3], None] if one_missed else ALL_MARKED), seed=1
    )


def test_outline_figures_are_means_over_patients():
    figures = figures_of(one_missed=True)
    assert figures["dice"]["value"] == pytest.approx((np.mean([1, 2 / 3]) + 1 + 0) / 3, abs=1e-4)
    assert figures["hd95_mm"]["value"] == pytest.approx(
        (4 / 2 + 0 + np.hypot(40, 40)) / 3, abs=1e-3
    )
    assert figures["hd95_where_found_mm"]["value"] == pytest.approx((4 / 2 + 0) / 2)
    assert figures["volume_error_percent"]["value"] == pytest.approx((-25 + 0 - 100) / 3, abs=1e-3)
    assert figures["absolute_volume_error_percent"]["value"] == pytest.approx(
        (25 + 0 + 100) / 3, abs=1e-3
    )


def test_slices_without_tumour_are_counted_where_there_are_some():
    quiet = figures_of()["quiet_slices"]
    assert (quiet["value"], quiet["patients"]) == (0.5, 1)


def test_lesions_are_counted_by_size():
    lesions = figures_of(one_missed=True)["lesions"]
    assert lesions["sensitivity"]["value"] == pytest.approx(0.75)
    by_size = lesions["by_size"]
    # 8 x 8 mm: a circle of 9.03 mm.
    assert (by_size["6-10 mm"]["value"], by_size["6-10 mm"]["lesions"]) == (0.75, 4)
    assert (by_size[">10 mm"]["value"], by_size[">10 mm"]["lesions"]) == (None, 0)
    assert lesions["false_marks_per_case"]["value"] == 0.0


def test_assessment_by_patient():
    figures = figures_of()
    patients = figures["malignancy_by_patient"]
    assert patients["auc"]["value"] == 1.0
    assert patients["auc"]["delong_95"] == [1.0, 1.0]
    assert patients["auc"]["patients"] == 3
    assert (patients["sensitivity"]["value"], patients["sensitivity"]["patients"]) == (1.0, 1)
    assert (patients["specificity"]["value"], patients["specificity"]["patients"]) == (1.0, 2)
    assert patients["kappa"]["value"] == 1.0
    assert figures["malignancy"]["accuracy"]["value"] == 0.75
    assert figures["type_kappa"]["value"] == pytest.approx(1 - 0.25 / (1 - 5 / 16), abs=1e-4)


def test_abstention_has_coverage_error_and_reasons():
    rule = figures_of(one_missed=True)["abstention"]
    assert (rule["coverage"]["value"], rule["coverage"]["cases"]) == (
        pytest.approx(2 / 3, abs=1e-4),
        3,
    )
    assert rule["error_where_decided"]["value"] == 0.0
    assert rule["error_if_always_decided"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert rule["reasons"] == {"probability between 0.4 and 0.6": 1}


def test_subgroups_of_type_identifiers_and_size():
    groups = figures_of()["subgroups"]
    assert list(groups) == [
        "all", "type: glioma", "type: meningioma", "type: pituitary", "identifiers: digits",
        "identifiers: letters", "lesion: 6-10 mm",
    ]  # fmt: skip
    assert groups["type: meningioma"]["dice"]["value"] == pytest.approx(
        np.mean([1, 2 / 3]), abs=1e-4
    )
    assert groups["identifiers: digits"]["dice"]["patients"] == 2


def test_a_bundle_that_only_segments_has_no_figures_of_malignancy():
    figures = measure_cases(make_case_results(ALL_MARKED, classified=False), seed=1)
    assert not {"malignancy", "malignancy_by_patient", "abstention", "type_kappa"} & set(figures)
    assert figures["detection"]["value"] == 1.0
    assert "NaN" not in json.dumps(figures)


def test_tumour_free_cases():
    results = make_case_results([(10, 18), None, None, None], tumour=False)
    figures = measure_tumour_free(results, seed=1)
    assert figures["value"] == 0.75
    assert figures["false_marks_per_case"]["value"] == pytest.approx(0.5 / 3, abs=1e-4)


def test_figures_repeat_with_their_seed_and_are_json():
    first, second = (
        json.dumps(measure_cases(make_case_results(ALL_MARKED), seed=3)) for _ in range(2)
    )
    assert first == second
    assert "NaN" not in first


def test_the_size_alone_stands_beside_the_assessment():
    results = make_case_results(ALL_MARKED)
    figures = measure_cases(results, seed=1)
    size = results.column("predicted_ml")
    malignant, benign = size[results.malignant], size[~results.malignant]
    above = (malignant[:, None] > benign) + 0.5 * (malignant[:, None] == benign)
    alone = figures["size_alone"]
    assert alone["auc"]["value"] == pytest.approx(above.mean(), abs=1e-4)
    assert alone["auc_gain"]["value"] == pytest.approx(
        figures["malignancy"]["auc"]["value"] - above.mean(), abs=2e-4
    )
