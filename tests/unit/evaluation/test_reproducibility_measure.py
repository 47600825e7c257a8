"""From cases to ICC values, shares, files."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from node.domain.features import FeatureVector
from node.evaluation.icc import Reliability
from node.evaluation.perturb import Perturbation
from node.evaluation.reproducibility import LesionCase, measure_repeats
from node.evaluation.robust_shares import (
    count_shares,
    feature_class_of,
    filter_class_of,
    summarise,
    write_files,
)

NAMES = ("original_shape_Volume", "original_firstorder_Mean", "lbp-2D_glcm_Chance")


def make_cases(count=6):
    """Discs of different size and brightness in one noisy slice each."""
    rng = np.random.default_rng(1)
    cases = []
    for i in range(count):
        distance = np.hypot(*(np.indices((64, 64)) - 31.5))
        mask = (distance < 8 + 2 * i)[None]
        voxels = 100 + 40 * i * mask + rng.normal(0, 3, mask.shape)
        cases.append(
            LesionCase(identifier=str(i), voxels=voxels, mask=mask, spacing_mm=(5.0, 1.0, 1.0))
        )
    return cases


def measure(voxels, mask, spacing_mm):
    """A size, a brightness, and digits that have nothing to do with the lesion."""
    chance = float(voxels.sum(dtype=np.float64)) * 997.0 % 1
    values = np.array([mask.sum() * np.prod(spacing_mm), voxels[mask].mean(), chance])
    return FeatureVector(names=NAMES, values=values, profile="three", lesion_number=1)


def make_measure():
    return measure


def run(jobs=1, seed=5, cases=None):
    return measure_repeats(
        make_cases() if cases is None else cases,
        make_measure,
        perturbation=Perturbation(),
        repeats=4,
        rng=np.random.default_rng(seed),
        jobs=jobs,
    )


def reliability(icc, low=None, high=1.0):
    bounds = (icc if low is None else low, icc if math.isnan(icc) else high)
    return Reliability(icc=icc, low=bounds[0], high=bounds[1], cases=10)


def test_features_of_the_lesion_are_reproducible_and_chance_is_not():
    repeats = run()
    assert repeats.values.shape == (6, 4, 3)
    found = repeats.reliabilities()
    assert list(found) == list(NAMES)
    assert found["original_shape_Volume"].icc > 0.9
    assert found["original_firstorder_Mean"].icc > 0.9
    assert found["lbp-2D_glcm_Chance"].icc < 0.5
    assert 0.8 < repeats.dice.mean() < 1


def test_the_number_of_processes_changes_nothing():
    cases = make_cases(3)
    one, two = run(jobs=1, cases=cases), run(jobs=2, cases=cases)
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.dice, two.dice)
    assert (one.values != run(seed=6, cases=cases).values).any()


def test_progress_sees_every_case():
    seen = []

    def progress(done, total):
        for i in done:
            seen.append((i, total))
            yield i

    measure_repeats(
        make_cases(3),
        make_measure,
        perturbation=Perturbation(),
        repeats=2,
        rng=np.random.default_rng(1),
        progress=progress,
    )
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_one_case_is_too_few():
    with pytest.raises(ValueError, match="1 cases"):
        run(cases=make_cases(1))


@pytest.mark.parametrize(
    ("feature", "filter_class", "feature_class"),
    [
        ("original_glcm_Contrast", "original", "glcm"),
        ("log-sigma-1-0-mm-3D_glrlm_RunEntropy", "log-sigma", "glrlm"),
        ("logarithm_firstorder_Mean", "logarithm", "firstorder"),
        ("wavelet-LLH_glcm_Id", "wavelet", "glcm"),
        ("wavelet-packet-LLH-HLL_energy_Mean", "wavelet-packet", "energy"),
        ("lbp-3D-m1_firstorder_Mean", "lbp-3D", "firstorder"),
        ("gabor-lambda-4-0-mm_ngtdm_Busyness", "gabor", "ngtdm"),
    ],
)
def test_classes_are_read_from_the_name(feature, filter_class, feature_class):
    assert filter_class_of(feature) == filter_class
    assert feature_class_of(feature) == feature_class


def test_shares_count_limits_inclusively_and_leave_out_what_is_undefined():
    found = [
        reliability(0.9, low=0.8),
        reliability(0.75, low=0.5),
        reliability(0.7499, low=0.1),
        reliability(0.95, low=0.9),
        reliability(math.nan),
    ]
    assert count_shares(found) == {
        "features": 5,
        "undefined": 1,
        "icc_0.75": 0.75,
        "icc_0.90": 0.5,
        "lower_bound_0.75": 0.5,
        "lower_bound_0.90": 0.25,
    }
    assert count_shares([reliability(math.nan)])["icc_0.75"] is None


def test_files_hold_every_feature_and_strict_json(tmp_path):
    found = {
        NAMES[0]: reliability(0.91234567, low=0.8),
        NAMES[1]: reliability(-0.2, low=-0.4),
        NAMES[2]: reliability(math.nan),
    }
    summary = summarise(found)
    assert summary["filter_classes"]["original"]["icc_0.75"] == 0.5
    assert summary["feature_classes"]["glcm"]["undefined"] == 1
    write_files(found, summary, tmp_path / "new")

    text = (tmp_path / "new/icc.json").read_text()
    content = json.loads(text, parse_constant=pytest.fail)
    assert content[NAMES[0]] == {"icc": 0.9123, "low": 0.8, "high": 1.0}
    assert content[NAMES[2]] == {"icc": None, "low": None, "high": None}
    with (tmp_path / "new/icc.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["feature"] for row in rows] == list(NAMES)
    assert rows[2]["icc"] == ""
    assert json.loads((tmp_path / "new/reproducibility.json").read_text()) == summary
    with Image.open(tmp_path / "new/icc.png") as picture:
        assert picture.size[0] > 800
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 10


def test_a_profile_without_any_value_still_gives_its_files(tmp_path):
    found = {name: reliability(math.nan) for name in NAMES}
    write_files(found, summarise(found), tmp_path)
    assert (tmp_path / "icc.png").is_file()
