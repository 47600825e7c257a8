"""Names and order of the profiles, and what they say of data that are too thin."""

import hashlib

import pytest
from radiomics import getFeatureClasses

from node.radiomics.filters import FILTERS
from node.radiomics.labels import label_feature
from node.radiomics.names import FEATURES_OF_CLASS
from node.radiomics.profiles import FULL, PLANAR_102, PLANAR_232, PROFILES, STANDARD_237

DIGESTS = {
    "planar-102": "d0a345589368",
    "planar-232": "54549c274664",
    "standard-237": "d61a2ed79750",
    "full": "99c9fc4011bc",
}


def count(profile, beginning):
    return sum(name.startswith(beginning) for name in profile.names)


@pytest.mark.parametrize("name", PROFILES)
def test_names_never_change(name):
    names = PROFILES[name].names
    assert len(set(names)) == len(names)
    assert hashlib.sha256("\n".join(names).encode()).hexdigest()[:12] == DIGESTS[name]


def test_counts_of_the_standard_profile():
    assert len(STANDARD_237.names) == 237
    assert count(STANDARD_237, "original_shape_") == 14
    assert count(STANDARD_237, "original_") == 14 + 93
    assert count(STANDARD_237, "wavelet-packet-") == 64
    assert count(STANDARD_237, "lbp-2D_firstorder_") == 18
    assert [count(STANDARD_237, f"log-sigma-{mm}-0-mm-3D_glrlm_") for mm in (1, 2, 3)] == [16] * 3


def test_counts_of_the_planar_profiles():
    assert len(PLANAR_102.names) == 102
    assert len(PLANAR_232.names) == 232
    assert PLANAR_232.names[:102] == PLANAR_102.names
    assert count(PLANAR_232, "wavelet-packet-") == 64


def test_the_full_profile_has_twelve_filter_classes():
    kinds = {kind.filter for kind in FULL.image_types}
    assert kinds == set(FILTERS) - {"log-2D"}
    assert len(kinds) == 12
    assert set(STANDARD_237.names) < set(FULL.names)


def test_names_written_down_are_those_of_pyradiomics():
    for name, features in FEATURES_OF_CLASS.items():
        if name != "energy":
            theirs = getFeatureClasses()[name].getFeatureNames()
            assert features == tuple(sorted(each for each, old in theirs.items() if not old))


def test_one_slice_has_no_thickness():
    undefined = STANDARD_237.undefined((1, 64, 64), (1, 20, 20))
    assert len(undefined) == 14 + 64 + 48
    assert "one slice" in undefined["original_shape_Sphericity"]
    assert undefined["log-sigma-1-0-mm-3D_glrlm_RunEntropy"] == (
        "the filter needs 4 slices, the image has 1"
    )


def test_a_lesion_in_one_slice_of_a_volume_is_flat():
    undefined = STANDARD_237.undefined((20, 64, 64), (1, 20, 20))
    assert set(undefined) == {"original_shape_Flatness", "original_shape_LeastAxisLength"}


def test_fine_slices_must_reach_as_far_as_the_widest_filter():
    assert not STANDARD_237.undefined((4, 64, 64), (4, 20, 20))
    undefined = STANDARD_237.undefined((6, 64, 64), (4, 20, 20), (0.5, 1.0, 1.0))
    assert {name.split("_")[0] for name in undefined} == {"log-sigma-3-0-mm-3D"}


def test_planar_profiles_do_not_ask_for_slices():
    assert not PLANAR_232.undefined((1, 64, 64), (1, 20, 20))
    assert set(PLANAR_232.undefined((1, 6, 64), (1, 4, 20))) == {
        name for name in PLANAR_232.names if name.startswith("wavelet-packet")
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("log-sigma-2-0-mm-3D_glrlm_RunEntropy", "LoG (2 mm) GLRLM run entropy"),
        ("original_shape_Maximum3DDiameter", "Shape maximum 3D diameter"),
        ("original_firstorder_10Percentile", "First-order 10th percentile"),
        ("original_glcm_Imc1", "GLCM first measure of information correlation"),
        (
            "original_gldm_DependenceNonUniformityNormalized",
            "NGLDM normalised dependence non-uniformity",
        ),
        ("wavelet-packet-LLH-HLL_energy_Mean", "Wavelet packet LLH-HLL energy"),
        ("wavelet-HLL_ngtdm_Busyness", "Wavelet HLL NGTDM busyness"),
        ("lbp-2D_firstorder_Mean", "LBP 2D first-order mean"),
        ("gabor-lambda-4-0-mm_glszm_ZoneEntropy", "Gabor (4 mm) GLSZM zone entropy"),
    ],
)
def test_labels(name, label):
    assert label_feature(name) == label


def test_every_feature_has_a_label_of_its_own():
    for profile in PROFILES.values():
        assert len({label_feature(name) for name in profile.names}) == len(profile.names)


@pytest.mark.parametrize("name", ["volume", "original_glcm", "sepia_glcm_Contrast"])
def test_other_names_have_no_label(name):
    with pytest.raises(ValueError, match="not the name of a feature"):
        label_feature(name)
