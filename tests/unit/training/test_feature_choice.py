"""Features that cannot help are dropped, each with its reason, without a look at the labels."""

import json

import numpy as np
import pytest

from node.domain.errors import SetupFault
from node.training.feature_choice import choose_features, read_reproducibility

NAMES = ("volume", "surface", "flat", "empty", "texture", "gappy")


def make_values() -> np.ndarray:
    rng = np.random.default_rng(4)
    values = rng.normal(size=(50, 6))
    values[:, 1] = np.exp(values[:, 0])  # same order, so that it tells the same
    values[:, 2] = 7.0
    values[:, 3] = np.nan
    values[:5, 5] = np.nan
    return values


def choose(**changes):
    settings = {"undefined_limit": 0.02, "correlation_limit": 0.95}
    return choose_features(make_values(), NAMES, **{**settings, **changes})


def test_each_feature_is_dropped_for_its_own_reason():
    choice = choose()
    assert choice.columns == (0, 4)
    assert "rank correlation 1.000 with volume" in choice.dropped["surface"]
    assert choice.dropped["flat"] == "constant"
    assert choice.dropped["empty"] == "undefined in 100% of the lesions"
    assert choice.dropped["gappy"] == "undefined in 10% of the lesions"


def test_limits_are_obeyed():
    assert 5 in choose(undefined_limit=0.1).columns
    assert 1 in choose(correlation_limit=1.0).columns


def test_fragile_features_go_and_the_more_reproducible_twin_stays():
    choice = choose(icc={"texture": 0.5, "volume": 0.8, "surface": 0.9}, minimum_icc=0.75)
    assert choice.columns == (1,)
    assert choice.dropped["texture"] == "fragile: ICC 0.50"
    assert "with surface" in choice.dropped["volume"]


def test_nothing_left_is_a_fault():
    with pytest.raises(SetupFault, match="none of the 2 features"):
        choose_features(np.ones((9, 2)), "ab", undefined_limit=0.1, correlation_limit=0.9)


def test_the_result_of_the_reproducibility_study_is_read(tmp_path):
    path = tmp_path / "icc.json"
    path.write_text(json.dumps({"volume": 0.97}))
    assert read_reproducibility(path) == {"volume": 0.97}
    path.write_text("[1]")
    with pytest.raises(SetupFault, match="reproducibility-file"):
        read_reproducibility(path)
