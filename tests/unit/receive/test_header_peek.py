"""Reading identifiers without decoding: every encoding, every way to be broken."""

import struct

import pytest
from factories_receive import ROOT, SERIES, STUDY, encode, make_ct
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
)

from node.dicom import structure
from node.domain.errors import InputRejected
from node.receive.header import PeekedHeader, peek_header

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
EXPECTED = PeekedHeader(
    sop_class_uid=CTImageStorage,
    sop_instance_uid=f"{ROOT}.3.1",
    study_instance_uid=STUDY,
    series_instance_uid=SERIES,
    modality="CT",
)


def nested(*, undefined: bool) -> Dataset:
    """A slice with sequences in sequences before and after the identifiers."""
    ds = make_ct()
    inner = Dataset()
    inner.StudyInstanceUID = "9.9.9"
    outer = Dataset()
    outer.ReferencedSOPSequence = Sequence([inner])
    ds.ReferencedStudySequence = Sequence([outer, Dataset()])
    ds.RequestAttributesSequence = Sequence([Dataset()])
    for sequence in (ds.ReferencedStudySequence, outer.ReferencedSOPSequence):
        for item in sequence:
            item.is_undefined_length_sequence_item = undefined
    ds["ReferencedStudySequence"].is_undefined_length = undefined
    outer["ReferencedSOPSequence"].is_undefined_length = undefined
    return ds


def code_of(data: bytes, syntax: str = ExplicitVRLittleEndian) -> str:
    """Return the code of what is wrong, empty if nothing is."""
    try:
        peek_header(data, transfer_syntax_uid=syntax)
    except InputRejected as rejection:
        return rejection.problems[0].code
    return ""


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_identifiers_of_every_encoding(syntax: str, undefined: bool) -> None:
    data = encode(nested(undefined=undefined), syntax)
    assert peek_header(data, transfer_syntax_uid=syntax) == EXPECTED


def test_a_data_set_that_begins_later_in_the_file() -> None:
    data = bytes(200) + encode(make_ct())
    assert peek_header(data, transfer_syntax_uid=ExplicitVRLittleEndian, start=200) == EXPECTED


def test_encapsulated_pixel_data() -> None:
    ds = make_ct()
    ds.PixelData = encapsulate([b"\1" * 100, b"\2" * 77])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    data = encode(ds)
    assert peek_header(data, transfer_syntax_uid=JPEGLosslessSV1) == EXPECTED
    assert code_of(data[:-8], JPEGLosslessSV1) == "truncated"


def test_a_private_sequence_of_unknown_vr_is_implicit_inside() -> None:
    inner = struct.pack("<HHL", 0x0011, 0x1001, 4) + b"abcd"
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner
    item += struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    unknown = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF) + item
    unknown += struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    data = encode(make_ct(PatientName=None, PatientID=None))
    before_group_20 = data.index(struct.pack("<HH", 0x0020, 0x000D))
    data = data[:before_group_20] + unknown + data[before_group_20:]
    assert peek_header(data, transfer_syntax_uid=ExplicitVRLittleEndian) == EXPECTED


def test_missing_identifiers_are_empty() -> None:
    data = encode(make_ct(StudyInstanceUID=None, SeriesInstanceUID=None, Modality=None))
    peeked = peek_header(data, transfer_syntax_uid=ExplicitVRLittleEndian)
    assert (peeked.study_instance_uid, peeked.series_instance_uid, peeked.modality) == ("",) * 3


def test_a_modality_that_is_no_code_string_is_not_taken_on() -> None:
    data = encode(make_ct()).replace(b"CS\2\0CT", b"CS\2\0\xc4\xe3")
    assert peek_header(data, transfer_syntax_uid=ExplicitVRLittleEndian).modality == ""


def test_a_few_zeros_after_the_last_element_do_no_harm() -> None:
    data = encode(make_ct())
    assert peek_header(data + bytes(5), transfer_syntax_uid=ExplicitVRLittleEndian) == EXPECTED
    assert code_of(data + b"\0\1") == "truncated"


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"hello world, hello"])
def test_noise_is_not_dicom(data: bytes) -> None:
    assert code_of(data) == "not-dicom"


def test_a_data_set_of_another_transfer_syntax_is_not_parsed() -> None:
    assert code_of(encode(make_ct(), ImplicitVRLittleEndian)) == "unparsable"
    assert code_of(encode(make_ct()), ImplicitVRLittleEndian) in ("truncated", "unparsable")
    assert code_of(encode(make_ct(), ExplicitVRBigEndian)) == "not-dicom"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_cut_is_noticed_unless_it_falls_between_elements(syntax: str) -> None:
    data = encode(nested(undefined=True), syntax)
    for end in range(len(data) - 512, len(data)):  # inside of the pixel data
        assert code_of(data[:end], syntax) == "truncated"
    codes = [code_of(data[:end], syntax) for end in range(8, len(data) - 512)]
    assert set(codes) == {"", "truncated"}
    # only the ends of top-level elements, and the zeros that some elements end with
    assert codes.count("") < 60


def test_nesting_without_end_is_refused() -> None:
    begin = struct.pack("<HHL", 0x0008, 0x1110, 0xFFFFFFFF)
    begin += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    assert code_of(begin * 500, ImplicitVRLittleEndian) == "too-complex"


def in_defined_lengths(depth: int) -> bytes:
    """A sequence in a sequence ..., each of which says how long it is."""
    value = b""
    for _ in range(depth):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(value)) + value
        value = struct.pack("<HH2sHL", 0x0008, 0x1110, b"SQ", 0, len(item)) + item
    return value


def test_nesting_in_defined_lengths_is_counted_too() -> None:
    assert code_of(in_defined_lengths(structure.MAXIMUM_DEPTH)) == ""
    assert code_of(in_defined_lengths(structure.MAXIMUM_DEPTH + 1)) == "too-complex"


def test_damage_within_a_sequence_of_defined_length_is_left_to_its_readers() -> None:
    data = in_defined_lengths(3)
    inner = data.replace(b"SQ", b"\0\0").replace(b"\0\0", b"SQ", 1)
    assert code_of(inner) == ""


@pytest.mark.parametrize("inside", [False, True])
def test_more_elements_than_an_honest_object_has_are_refused(
    monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    monkeypatch.setattr(structure, "MAXIMUM_ELEMENTS", 100)
    many = struct.pack("<HH2sH", 0x7FE1, 0x10, b"LO", 0) * 10_000
    if inside:
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(many)) + many
        many = struct.pack("<HH2sHL", 0x7FE1, 0x11, b"SQ", 0, len(item)) + item
    assert code_of(encode(make_ct()) + many) == "too-complex"


@given(st.binary(max_size=300), st.sampled_from(SYNTAXES))
def test_any_bytes_are_refused_or_read_but_never_fail(data: bytes, syntax: str) -> None:
    for candidate in (data, encode(make_ct(), syntax)[:40] + data):
        assert code_of(candidate, syntax) in (
            "",
            "not-dicom",
            "unparsable",
            "truncated",
            "too-complex",
        )
