"""Outlines of real studies: the mask that others made of the same RTSTRUCT, and real tissue."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml

from node.training.datasets.description import FilesDescription
from node.training.datasets.file_pairs import read_file_pairs
from node.training.datasets.folders import read_folder_set

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def shared(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"real data are not here: ../shared/data/{name}")
    return path


def read(folder, **description):
    (folder / "dataset.yaml").write_text(yaml.safe_dump(description, sort_keys=False))
    return read_folder_set(folder)


def test_ibsi_phantom_is_the_same_from_rtstruct_and_from_nifti(tmp_path):
    """The phantom's publishers converted the RTSTRUCT to the NIfTI mask: every voxel agrees."""
    source = shared("ibsi/ibsi_1_ct_radiomics_phantom")
    shutil.copytree(source / "dicom", tmp_path / "dicom")
    shutil.copytree(source / "nifti", tmp_path / "nifti/ct_phantom")
    (outlined,) = read(
        tmp_path / "dicom", kind="dicom", modality="CT", roles={"ct": {}}, labels=["GTV-1"]
    ).cases
    (converted,) = read(
        tmp_path / "nifti",
        kind="files",
        modality="CT",
        images={"ct": "{case}/image/phantom.nii.gz"},
        label="{case}/mask/mask.nii.gz",
    ).cases
    assert outlined.mask.sum() == 125256
    np.testing.assert_array_equal(outlined.mask, converted.mask)
    np.testing.assert_array_equal(outlined.volume.voxels, converted.volume.voxels)
    assert outlined.volume.geometry.is_close(converted.volume.geometry, 0.001)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Two patients and three modalities in one folder, as an archive delivers them."""
    folder = tmp_path_factory.mktemp("collection")
    for name in ("STS_002", "STS_042"):
        with zipfile.ZipFile(shared(f"dicom/dicom_{name}_CT_MR_PET_cropped.zip")) as packed:
            packed.extractall(folder)
    return folder


@pytest.mark.parametrize(("modality", "tissue"), [("CT", (20, 80)), ("MR", (200, 500))])
def test_each_modality_finds_its_own_outline(collection, modality, tissue):
    found = read(
        collection, kind="dicom", modality=modality, roles={"image": {}}, labels=["GTV_Mass_*"]
    )
    assert [case.patient for case in found.cases] == ["STS_002", "STS_042"]
    assert not found.left_out
    for case, volume_ml in zip(found.cases, (53.295, 34.849), strict=True):
        voxel_ml = case.volume.geometry.voxel_volume_mm3 / 1000
        assert case.mask.sum() * voxel_ml == pytest.approx(volume_ml, abs=0.01)
        assert case.volume.modality == modality
        low, high = tissue
        assert low < np.median(case.volume.voxels[case.mask]) < high


def test_lung_tumour_is_read_and_organs_that_leave_the_images_are_refused(tmp_path):
    with zipfile.ZipFile(shared("dicom/dicom_LUNG1-001_41slices_CCBYNC.zip")) as packed:
        packed.extractall(tmp_path)
    wanted = {"kind": "dicom", "modality": "CT", "roles": {"ct": {}}}
    (case,) = read(tmp_path, **wanted, labels=["gtv-*"]).cases
    assert case.patient == "LUNG1-001"
    assert case.mask.any(axis=(1, 2)).sum() == 21
    assert case.mask.sum() == 54639
    organs = read(tmp_path, **wanted, labels=["spinal-*"])
    assert not organs.cases
    assert {p.code for found in organs.left_out.values() for p in found} == {"outline-outside"}


def test_pyradiomics_cases_are_read_as_simpleitk_sees_them():
    folder = shared("radiomics_cases")
    description = FilesDescription(
        kind="files", modality="MR", images={"t1": "{case}_image.nrrd"}, label="{case}_label.nrrd"
    )
    found = read_file_pairs(folder, description)
    assert [case.identifier for case in found.cases] == ["brain1", "brain2", "breast1"]
    for case in found.cases:
        image = sitk.ReadImage(str(folder / f"{case.identifier}_image.nrrd"))
        index = tuple(int(n) - 1 for n in reversed(case.mask.shape))
        np.testing.assert_allclose(
            case.volume.geometry.to_lps(index[::-1]),
            image.TransformIndexToPhysicalPoint(index),
            atol=1e-6,
        )
        assert case.volume.voxels[index[::-1]] == image[index]
    assert [int(case.mask.sum()) for case in found.cases] == [4137, 453, 143]
