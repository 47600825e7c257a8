"""The b-value of classic MR objects that keep it where their vendor does."""

from pathlib import Path

import pytest
from factories_receive import make_ct, write_file
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage

from node.assemble.planes import read_image_header
from node.domain.study import InstanceRef

SIEMENS = (0x0019, "SIEMENS MR HEADER", 0x0C, "IS")
GE = (0x0043, "GEMS_PARM_01", 0x39, "IS")
PHILIPS = (0x2001, "Philips Imaging DD 001", 0x03, "FL")
Place = tuple[int, str, int, str]


def told(
    folder: Path,
    place: Place,
    value: object,
    *,
    syntax: str = ExplicitVRLittleEndian,
    other_blocks: int = 0,
    **attributes: object,
) -> str | None:
    """What the header of an object with a private element says of its b-value."""
    group, creator, offset, vr = place
    dataset = make_ct(SOPClassUID=MRImageStorage, Modality="MR", **attributes)
    for number in range(other_blocks):
        dataset.private_block(group, f"SOMEBODY {number}", create=True).add_new(offset, "LO", "7")
    dataset.private_block(group, creator, create=True).add_new(offset, vr, value)
    path = write_file(folder / "1.dcm", dataset, syntax)
    reference = InstanceRef(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(MRImageStorage),
        transfer_syntax_uid=syntax,
        path=path,
        sha256="",
    )
    (plane,) = read_image_header(reference).planes
    return plane.splitting.get("DiffusionBValue")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (SIEMENS, "1000", "1000"),
        (SIEMENS, "0", "0"),
        (GE, ["800", "8", "0", "0"], "800"),
        (GE, [str(1_000_000_000 + 1400), "8", "0", "0"], "1400"),
        (PHILIPS, 50.0, "50"),
    ],
)
def test_each_vendor(tmp_path: Path, syntax: str, place: Place, value: object, expected: str):
    assert told(tmp_path, place, value, syntax=syntax) == expected


def test_the_block_is_found_by_its_creator(tmp_path: Path) -> None:
    assert told(tmp_path, SIEMENS, "1000", other_blocks=2) == "1000"


def test_the_standard_attribute_comes_first(tmp_path: Path) -> None:
    assert told(tmp_path, SIEMENS, "1000", DiffusionBValue=500.0) == "500"
    assert told(tmp_path, SIEMENS, "1000", DiffusionBValue=0.0) == "0"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((0x0019, "SOMEBODY ELSE", 0x0C, "IS"), "1000"),
        (SIEMENS, None),
        ((*SIEMENS[:3], "LO"), "n/a"),
        ((*PHILIPS[:3], "FD"), float("nan")),
        ((*SIEMENS[:3], "IS"), "-1"),
    ],
    ids=["another creator", "empty", "text", "no number", "negative"],
)
def test_what_is_no_b_value_is_none(tmp_path: Path, place: Place, value: object) -> None:
    assert told(tmp_path, place, value) is None


def test_bytes_of_an_unknown_vr_are_read(tmp_path: Path) -> None:
    assert told(tmp_path, (*GE[:3], "UN"), b"900\\8\\0\\0 ") == "900"
