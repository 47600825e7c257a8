"""Folders of NIfTI and NRRD pairs: what is read, and what is left out and why."""

import numpy as np
import pytest
import SimpleITK as sitk
import structlog
import yaml

from node.domain.errors import InputRejected, SetupFault
from node.training.datasets.folders import read_folder_set, read_folders
from node.training.datasets.name_patterns import group_files

SHAPE = (4, 20, 24)


def write(path, array, *, origin=(1.0, 2.0, 3.0), spacing=(0.5, 0.7, 3.0)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))


def image_of(seed=0):
    return np.random.default_rng(seed).integers(0, 900, SHAPE).astype(np.int16)


def mask_of(value=1):
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:3, 5:11, 7:10] = value
    return mask


def describe(folder, **keys):
    content = {
        "kind": "files",
        "modality": "MR",
        "images": {"t1ce": "{case}_image.nrrd"},
        "label": "{case}_label.nrrd",
    } | keys
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def codes_of(read):
    return {name: [p.code for p in problems] for name, problems in read.left_out.items()}


def test_pairs_are_read_in_their_place(tmp_path):
    write(tmp_path / "a_image.nrrd", image_of())
    write(tmp_path / "a_label.nrrd", mask_of())
    describe(tmp_path, tumour_type="sarcoma", malignant=True)
    (case,) = read_folders(tmp_path)
    np.testing.assert_array_equal(case.volume.voxels, image_of())
    np.testing.assert_array_equal(case.mask, mask_of() > 0)
    assert case.volume.geometry.spacing_mm == pytest.approx((3.0, 0.7, 0.5))
    assert case.volume.geometry.origin_mm == pytest.approx((1, 2, 3))
    assert case.volume.voxels.dtype == np.int16
    assert (case.patient, case.identifier) == ("a", "a")
    assert (case.tumour_type, case.malignant) == ("sarcoma", True)
    assert case.point_lps_mm == pytest.approx((1 + 8 * 0.5, 2 + 7.5 * 0.7, 3 + 1.5 * 3))


def test_layout_of_nnunet_with_two_channels(tmp_path):
    for case in ("brain_001", "brain_002"):
        write(tmp_path / f"imagesTr/{case}_0000.nii.gz", image_of(1))
        write(tmp_path / f"imagesTr/{case}_0001.nii.gz", image_of(2).astype(np.float32) / 3)
        write(tmp_path / f"labelsTr/{case}.nii.gz", mask_of(3))
    describe(
        tmp_path,
        images={
            "t1": "imagesTr/{case}_0000.nii.gz",
            "flair": "imagesTr/{case}_0001.nii.gz",
        },
        label="labelsTr/{case}.nii.gz",
        label_values=[3],
        patient=r"^brain_(\d+)$",
    )
    cases = read_folders(tmp_path)
    assert [case.patient for case in cases] == ["001", "002"]
    first, second = cases[0].volumes
    np.testing.assert_array_equal(first.voxels, image_of(1))
    assert second.voxels.dtype == np.float32
    assert cases[0].mask.sum() == mask_of().sum()


def test_folder_of_each_patient(tmp_path):
    for name in ("p1/day0", "p1/day9", "p2/day0"):
        write(tmp_path / name / "x_t1ce.nii.gz", image_of())
        write(tmp_path / name / "mask.nii.gz", mask_of())
    describe(
        tmp_path,
        images={"t1ce": "{patient}/{case}/*_t1ce.nii.gz"},
        label="{patient}/{case}/mask.nii.gz",
    )
    cases = read_folders(tmp_path)
    assert [case.patient for case in cases] == ["p1", "p1", "p2"]
    assert [case.identifier for case in cases] == ["p1/day0", "p1/day9", "p2/day0"]


def test_every_faulty_case_is_left_out_with_its_reason(tmp_path):
    describe(tmp_path)
    write(tmp_path / "good_image.nrrd", image_of())
    write(tmp_path / "good_label.nrrd", mask_of())
    write(tmp_path / "nomask_image.nrrd", image_of())
    write(tmp_path / "noimage_label.nrrd", mask_of())
    write(tmp_path / "empty_image.nrrd", image_of())
    write(tmp_path / "empty_label.nrrd", mask_of(0))
    write(tmp_path / "moved_image.nrrd", image_of(), origin=(1, 2, 9))
    write(tmp_path / "moved_label.nrrd", mask_of())
    write(tmp_path / "broken_image.nrrd", image_of())
    (tmp_path / "broken_label.nrrd").write_bytes(b"NRRD0004\n")
    write(tmp_path / "soft_image.nrrd", image_of())
    write(tmp_path / "soft_label.nrrd", mask_of().astype(np.float32) * 0.4)
    nan = image_of().astype(np.float32)
    nan[0, 0, 0] = np.nan
    write(tmp_path / "nan_image.nrrd", nan)
    write(tmp_path / "nan_label.nrrd", mask_of())
    write(tmp_path / "four_image.nrrd", np.zeros((2, *SHAPE), np.int16), origin=(0,) * 4,
          spacing=(1,) * 4)  # fmt: skip
    write(tmp_path / "four_label.nrrd", mask_of())
    read = read_folder_set(tmp_path)
    assert [case.identifier for case in read.cases] == ["good"]
    assert codes_of(read) == {
        "nomask": ["missing-mask"],
        "noimage": ["missing-image"],
        "empty": ["empty-mask"],
        "moved": ["different-grid"],
        "broken": ["unreadable-image"],
        "soft": ["not-labels"],
        "nan": ["not-finite"],
        "four": ["not-one-volume"],
    }


def test_cases_left_out_are_logged_by_name(tmp_path):
    describe(tmp_path)
    write(tmp_path / "good_image.nrrd", image_of())
    write(tmp_path / "good_label.nrrd", mask_of())
    write(tmp_path / "bad_image.nrrd", image_of())
    write(tmp_path / "stray.nrrd", image_of())
    with structlog.testing.capture_logs() as entries:
        assert len(read_folders(tmp_path)) == 1
    warnings = {entry["event"]: entry for entry in entries if entry["log_level"] == "warning"}
    assert warnings["case.left-out"]["case"] == "bad"
    assert "missing-mask" in warnings["case.left-out"]["problems"][0]
    assert warnings["files.without-case"]["first"] == ["stray.nrrd"]


def test_nothing_left_is_refused_with_every_fault(tmp_path):
    describe(tmp_path)
    write(tmp_path / "a_image.nrrd", image_of())
    write(tmp_path / "b_label.nrrd", mask_of())
    with pytest.raises(InputRejected) as rejected:
        read_folders(tmp_path)
    assert [problem.code for problem in rejected.value.problems] == [
        "no-case-left",
        "missing-mask",
        "missing-image",
    ]


def test_tumour_free_cases_are_kept_when_the_description_allows_them(tmp_path):
    write(tmp_path / "a_image.nrrd", image_of())
    write(tmp_path / "a_label.nrrd", mask_of(0))
    describe(tmp_path, allow_empty=True)
    (case,) = read_folders(tmp_path)
    assert not case.mask.any()
    assert case.point_lps_mm is None


def test_images_of_another_grid_are_interpolated_when_asked(tmp_path):
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32), SHAPE).copy()
    write(tmp_path / "a_image.nrrd", ramp, origin=(1.25, 2, 3))
    write(tmp_path / "a_label.nrrd", mask_of())
    describe(tmp_path, resample=True)
    (case,) = read_folders(tmp_path)
    np.testing.assert_allclose(case.volume.voxels[0, 0, 1:], np.arange(1, 24) - 0.5, atol=1e-4)


def test_several_files_for_one_place_are_ambiguous(tmp_path):
    for name in ("x", "y"):
        write(tmp_path / f"a/{name}_t1.nrrd", image_of())
    write(tmp_path / "a/mask.nrrd", mask_of())
    describe(tmp_path, images={"t1": "{case}/*_t1.nrrd"}, label="{case}/mask.nrrd")
    assert codes_of(read_folder_set(tmp_path)) == {"a": ["several-candidates"]}


def test_table_gives_type_and_malignancy(tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        write(tmp_path / f"{name}_image.nrrd", image_of())
        write(tmp_path / f"{name}_label.nrrd", mask_of())
    (tmp_path / "facts.csv").write_text(
        "id,type,dignity,site\na,glioma,Malignant,1\nb,meningioma,benign,2\nc,glioma,?,1\n"
        "d,glioma,benign,1\nd,glioma,malignant,1\n"
    )
    describe(
        tmp_path,
        table={
            "file": "facts.csv",
            "key": "id",
            "rows": "case",
            "tumour_type": "type",
            "malignant": "dignity",
            "notes": ["site"],
        },
    )
    read = read_folder_set(tmp_path)
    assert [(c.tumour_type, c.malignant, c.notes["site"]) for c in read.cases] == [
        ("glioma", True, "1"),
        ("meningioma", False, "2"),
        ("glioma", None, "1"),
    ]
    assert codes_of(read) == {"d": ["ambiguous-row"], "e": ["no-row"]}


def test_patient_that_the_pattern_does_not_find_is_a_fault(tmp_path):
    write(tmp_path / "x9_image.nrrd", image_of())
    write(tmp_path / "x9_label.nrrd", mask_of())
    describe(tmp_path, patient=r"^p(\d+)")
    assert codes_of(read_folder_set(tmp_path)) == {"x9": ["no-patient"]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "zip"},
        {"lable": "x"},
        {"images": {"t1": "image.nrrd"}},
        {"images": {}},
        {"label": "{subject}/{case}.nrrd"},
        {"patient": "no group"},
        {"patient": "("},
        {"table": {"file": "none.csv", "key": "id"}},
    ],
    ids=str,
)
def test_wrong_descriptions_are_told(tmp_path, wrong):
    describe(tmp_path, **wrong)
    with pytest.raises(SetupFault):
        read_folders(tmp_path)


def test_folder_without_description_is_refused(tmp_path):
    with pytest.raises(InputRejected, match=r"dataset\.yaml"):
        read_folders(tmp_path)


def test_a_name_that_comes_twice_is_the_same_name():
    groups = group_files(
        ["a/a_t1.nii", "b/a_t1.nii", "a/a_seg.nii"],
        {"t1": "{case}/{case}_t1.nii", "label": "{case}/{case}_seg.nii"},
    )
    assert [(group.case, sorted(group.files)) for group in groups] == [("a", ["label", "t1"])]


def test_the_more_literal_pattern_takes_the_file():
    (group,) = group_files(
        ["a.nrrd", "a_label.nrrd"], {"image": "{case}.nrrd", "label": "{case}_label.nrrd"}
    )
    assert group.files == {"image": ["a.nrrd"], "label": ["a_label.nrrd"]}
