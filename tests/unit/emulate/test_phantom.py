"""The sample series tell the truth about place, mask and origin."""

import subprocess
from importlib import resources

import numpy as np
import pytest
from pydicom import dcmread
from tools import require_tool

from node.emulate.phantom import CASES, ORIENTATIONS, Flaw, load_case, write_case


def lesion_places(geometry, mask):
    """LPS mm of every lesion voxel, in one order."""
    places = geometry.to_lps(np.argwhere(mask)).round(4)
    return places[np.lexsort(places.T)]


@pytest.mark.parametrize("name", CASES)
def test_cases_ship_with_source_and_licence(name):
    folder = resources.files("node.emulate") / "cases" / name
    assert "BSD-3" in (folder / "SOURCE.md").read_text()
    assert "Harvard Medical School" in (folder / "LICENSE.txt").read_text()


def test_brain1_is_what_its_nrrd_says():
    case = load_case("brain1")
    assert case.voxels.shape == case.mask.shape == (25, 256, 256)
    assert case.mask.sum() == 4137
    assert case.geometry.spacing_mm == pytest.approx((6.5, 0.78125, 0.78125))
    assert case.geometry.origin_mm == pytest.approx((-99.609375, 99.609375, -78.0))
    assert not case.voxels.flags.writeable


def test_unknown_case_names_the_known_ones():
    with pytest.raises(KeyError, match="brain1, brain2"):
        load_case("brain9")


@pytest.mark.parametrize("orientation", sorted(set(ORIENTATIONS) - {"oblique"}))
def test_lesion_stays_where_it_is_in_the_patient(tmp_path, orientation):
    case = load_case("brain2")
    written = write_case("brain2", tmp_path, orientation=orientation)
    mask = written.mask_of(written.source_uids)
    expected = lesion_places(case.geometry, case.mask)
    assert np.allclose(lesion_places(written.geometry, mask), expected, atol=1e-3)


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_headers_place_every_pixel_where_the_grid_has_it(tmp_path, orientation):
    written = write_case("brain2", tmp_path, orientation=orientation)
    for k in (0, len(written.paths) // 2, len(written.paths) - 1):
        dataset = dcmread(written.paths[k])
        row, column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        down_mm, along_mm = (float(value) for value in dataset.PixelSpacing)
        corner = np.array(dataset.ImagePositionPatient, float)
        corner = corner + column * down_mm * (dataset.Rows - 1)
        corner = corner + row * along_mm * (dataset.Columns - 1)
        expected = written.geometry.to_lps((k, dataset.Rows - 1, dataset.Columns - 1))
        assert np.allclose(corner, expected, atol=1e-6)


def test_slices_run_along_the_normal_but_instance_numbers_need_not(tmp_path):
    written = write_case("brain2", tmp_path, orientation="reversed")
    numbers = [int(dcmread(path).InstanceNumber) for path in written.paths]
    heights = [float(dcmread(path).ImagePositionPatient[2]) for path in written.paths]
    assert numbers == sorted(numbers, reverse=True)
    assert heights == sorted(heights)


def test_second_run_writes_the_same_bytes(tmp_path):
    first = write_case("brain2", tmp_path / "first")
    second = write_case("brain2", tmp_path / "second")
    assert [p.read_bytes() for p in first.paths] == [p.read_bytes() for p in second.paths]


def test_other_content_has_other_uids(tmp_path):
    written = [
        write_case("brain2", tmp_path / "1"),
        write_case("brain2", tmp_path / "2", fresh=True),
        write_case("brain2", tmp_path / "3", orientation="axial"),
        write_case("brain2", tmp_path / "4", flaws=[Flaw.ODD_CROP]),
    ]
    assert len({series.study_instance_uid for series in written}) == 4
    assert len({series.source_uids[0] for series in written}) == 4


@pytest.mark.parametrize("orientation", ["native", "axial", "oblique"])
def test_dciodvfy_finds_no_error(tmp_path, orientation):
    dciodvfy = require_tool("dciodvfy")
    written = write_case("brain1", tmp_path, orientation=orientation)
    told = subprocess.run(
        [dciodvfy, "-new", written.paths[3]], capture_output=True, text=True, check=False
    )
    assert "MRImage" in told.stdout + told.stderr
    assert "Error" not in told.stdout + told.stderr


def test_nobody_can_take_it_for_a_patient(tmp_path):
    dataset = dcmread(write_case("brain1", tmp_path).paths[0])
    assert "PHANTOM" in str(dataset.PatientName)
    assert "PHANTOM" in dataset.PatientID
    assert dataset.PatientIdentityRemoved == "YES"


def test_headers_may_be_replaced_in_another_character_set(tmp_path):
    name = "Zhang^XiaoMing=张^小明镕㐂"
    headers = {"SpecificCharacterSet": "GB18030", "PatientName": name}
    dataset = dcmread(write_case("brain2", tmp_path, headers=headers).paths[0])
    assert dataset.SpecificCharacterSet == "GB18030"
    assert str(dataset.PatientName) == name
