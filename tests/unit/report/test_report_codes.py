"""Codes: those that public dictionaries know must say the same there."""

import pytest
from pydicom.sr import _concepts_dict

from node.report import codes
from node.report.codes import feature_code, feature_unit, tumour_type_code
from node.report.ibsi import IBSI_OF_FEATURE

KNOWN_IBSI = {
    value: entry[0]
    for members in _concepts_dict.concepts["IBSI"].values()
    for value, entry in members.items()
}


def test_ibsi_codes_mean_what_the_dictionary_says():
    checked = 0
    for value, meaning in IBSI_OF_FEATURE.values():
        if value in KNOWN_IBSI:
            assert meaning == KNOWN_IBSI[value]
            checked += 1
    assert checked > 80


def test_no_ibsi_code_stands_for_two_features():
    assert len({value for value, _ in IBSI_OF_FEATURE.values()}) == len(IBSI_OF_FEATURE)


def test_names_are_those_of_pyradiomics():
    radiomics = pytest.importorskip("radiomics")
    real = {
        f"original_{family}_{name}"
        for family, members in radiomics.getFeatureClasses().items()
        for name in members.getFeatureNames()
    }
    assert set(IBSI_OF_FEATURE) <= real


@pytest.mark.parametrize(
    "name",
    ["original_firstorder_Kurtosis", "wavelet-HHH_firstorder_Mean", "original_glcm_MCC", "age"],
)
def test_inexact_or_filtered_features_are_private(name):
    code = feature_code(name)
    assert code.scheme == "99ONCONODE"
    assert code.meaning == name
    assert len(code.value) <= 16
    assert code == feature_code(name)


def test_units():
    assert feature_unit("original_shape_MeshVolume").value == "mm3"
    assert feature_unit("original_shape_SurfaceVolumeRatio").value == "/mm"
    assert feature_unit("original_shape_Sphericity").value == "1"
    assert feature_unit("original_firstorder_Mean").value == "1"


@pytest.mark.parametrize(
    ("name", "value", "scheme"),
    [
        ("glioma", "393564001", "SCT"),
        ("Meningioma", "302820008", "SCT"),
        ("pituitary_tumor", "127024001", "SCT"),
        ("pituitary tumour", "127024001", "SCT"),
        ("chordoma", tumour_type_code("chordoma").value, "99ONCONODE"),
    ],
)
def test_tumour_types(name, value, scheme):
    assert (tumour_type_code(name).value, tumour_type_code(name).scheme) == (value, scheme)


def test_standard_codes_are_in_the_public_dictionary():
    for code in (
        codes.PROBABILITY_OF_CANCER,
        codes.VOLUME,
        codes.LONG_AXIS,
        codes.SHORT_AXIS,
        codes.ABSENT,
        codes.ATTENUATION,
        codes.MEAN,
        codes.COMMENT,
        *codes.PROCEDURES.values(),
    ):
        known = {v for members in _concepts_dict.concepts[code.scheme].values() for v in members}
        assert code.value in known, code
