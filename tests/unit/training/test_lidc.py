import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import structlog

from node.domain.errors import InputRejected
from node.training.datasets.lidc import read_lidc

ORIGIN = (10.0, -20.0, 30.0)
SPACING = (0.5, 0.7, 2.5)


def nifti(scratch: Path, array, origin=ORIGIN) -> bytes:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin)
    image.SetSpacing(SPACING)
    path = scratch / "x.nii.gz"
    sitk.WriteImage(image, str(path))
    return path.read_bytes()


def write_set(directory: Path, cases, index) -> Path:
    with zipfile.ZipFile(directory / "vois.zip", "w") as archive:
        for name, (image, mask, origin) in cases.items():
            archive.writestr(f"image/{name}.nii.gz", nifti(directory, image))
            if mask is not None:
                archive.writestr(f"mask/{name}.nii.gz", nifti(directory, mask, origin))
    with (directory / "index.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, ["patient_id", "voi", "median", "diameter_mm"])
        writer.writeheader()
        writer.writerows(index)
    return directory


def row(name: str, median: str = "3.0") -> dict[str, str]:
    return {"patient_id": "P1", "voi": name, "median": median, "diameter_mm": "8.5"}


@pytest.fixture
def good():
    image = np.full((3, 6, 8), -1000, np.int16)
    image[1, 2, 5] = 40
    mask = np.zeros((3, 6, 8), np.int16)
    mask[1, 2, 5] = 1
    return image, mask, ORIGIN


def test_hu_place_and_notes(tmp_path, good):
    (case,) = read_lidc(write_set(tmp_path, {"a": good}, [row("a", "3.5")]))
    assert case.volume.voxels.dtype == np.int16
    assert case.volume.voxels[case.mask].tolist() == [40]
    # LPS, as DICOM has it: index x=5, y=2, z=1
    expected = (10 + 5 * 0.5, -20 + 2 * 0.7, 30 + 2.5)
    np.testing.assert_allclose(case.point_lps_mm, expected, atol=1e-5)
    np.testing.assert_allclose(case.volume.geometry.spacing_mm, SPACING[::-1], atol=1e-6)
    assert case.patient == "P1"
    assert case.notes["diameter_mm"] == "8.5"


@pytest.mark.parametrize(
    ("median", "malignant"),
    [("1.0", False), ("2.5", False), ("3.0", None), ("3.5", True), ("5.0", True), ("", None)],
)
def test_malignant_follows_the_median_rating(tmp_path, good, median, malignant):
    (case,) = read_lidc(write_set(tmp_path, {"a": good}, [row("a", median)]))
    assert case.malignant is malignant


def test_faulty_cases_are_reported_and_left_out(tmp_path, good):
    image, mask, _ = good
    cases = {
        "ok": good,
        "nomask": (image, None, ORIGIN),
        "empty": (image, np.zeros_like(mask), ORIGIN),
        "shape": (image, mask[:, :4], ORIGIN),
        "shifted": (image, mask, (11.0, -20.0, 30.0)),
    }
    directory = write_set(tmp_path, cases, [row(n) for n in [*cases, "absent"]])
    with structlog.testing.capture_logs() as told:
        found = read_lidc(directory)
    assert [case.identifier for case in found] == ["ok"]
    for name, code in [
        ("nomask", "cut-out-missing"),
        ("empty", "empty-mask"),
        ("shape", "grids-differ"),
        ("shifted", "grids-differ"),
        ("absent", "cut-out-missing"),
    ]:
        assert any(e.get("case") == name and code in e["problem"] for e in told), name


def test_missing_files_are_named(tmp_path):
    with pytest.raises(InputRejected, match="no vois"):
        read_lidc(tmp_path)


SHARED = Path(__file__).parents[4] / "shared" / "data" / "ct_nodules_lidc"


@pytest.mark.skipif(not SHARED.exists(), reason="needs the LIDC cut-outs in ../shared")
def test_real_cut_outs_lie_where_the_index_says():
    cases = read_lidc(SHARED)
    with (SHARED / "index.csv").open(newline="") as table:
        index = {r["voi"]: r for r in csv.DictReader(table)}
    apart = [
        np.linalg.norm(
            np.array(case.point_lps_mm)
            - [float(index[case.identifier][f"coord{axis}"]) for axis in "XYZ"]
        )
        for case in cases
    ]
    assert len(cases) == 789
    assert len({case.patient for case in cases}) == 437
    assert np.percentile(apart, 95) < 1.0
    assert [sum(c.malignant is value for c in cases) for value in (False, None, True)] == [
        254,
        295,
        240,
    ]
