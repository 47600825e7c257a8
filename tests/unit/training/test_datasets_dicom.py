"""Folders of DICOM with SEG or RTSTRUCT: what belongs together, and what is left out and why."""

from dataclasses import replace

import numpy as np
import pytest
import yaml
from factories_labels import square, write_rtstruct, write_seg
from factories_report import axes, make_series
from pydicom.uid import generate_uid

from node.domain.errors import InputRejected
from node.training.datasets.folders import read_folder_set, read_folders

GEOMETRY = axes(shape=(5, 20, 24))


def series_of(folder, *, patient="P-1", study="1.2.3", description="T1 post", **keys):
    keys = {"geometry": GEOMETRY} | keys
    headers = {
        "PatientID": patient,
        "StudyInstanceUID": study,
        "SeriesInstanceUID": generate_uid(),
        "SeriesDescription": description,
        "FrameOfReferenceUID": f"{study}.9",
    } | keys.pop("headers", {})
    return make_series(folder, headers=headers, **keys)


def describe(folder, **keys):
    content = {
        "kind": "dicom",
        "modality": "MR",
        "roles": {"t1ce": {"series_description": ["*T1*post*"]}},
        "labels": ["gtv*"],
    } | keys
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def outline(series, path, *, name="GTV-1", k=2, rows=(4, 9), **keys):
    contour = square(series.volume.geometry, k, rows, (5, 12))
    return write_rtstruct(path, series, {name: [contour], "Cord": []}, **keys)


def codes_of(read):
    return sorted(p.code for problems in read.left_out.values() for p in problems)


def test_outlined_series_becomes_a_case_wherever_the_files_lie(tmp_path):
    series = series_of(tmp_path / "deep/er/images")
    outline(series, tmp_path / "other/rt.dcm")
    describe(tmp_path, malignant=True)
    (case,) = read_folders(tmp_path)
    np.testing.assert_array_equal(case.volume.voxels, series.volume.voxels)
    expected = np.zeros((5, 20, 24), bool)
    expected[2, 4:10, 5:13] = True
    np.testing.assert_array_equal(case.mask, expected)
    assert (case.patient, case.identifier, case.malignant) == ("P-1", "P-1", True)
    assert case.volume.source_uids == series.volume.source_uids
    assert case.point_lps_mm == pytest.approx(tuple(GEOMETRY.to_lps((2, 6.5, 8.5))), abs=1e-3)


def test_segments_are_chosen_by_their_label(tmp_path):
    series = series_of(tmp_path / "images")
    tumour, organ = (np.zeros((5, 20, 24), bool) for _ in range(2))
    tumour[1:3, 4:8, 5:9] = True
    organ[:, 12:, :] = True
    write_seg(tmp_path / "seg.dcm", series, {"Brain": organ, "GTV left": tumour})
    describe(tmp_path)
    (case,) = read_folders(tmp_path)
    np.testing.assert_array_equal(case.mask, tumour)


def test_objects_without_reference_are_bound_by_frame_of_reference(tmp_path):
    series = series_of(tmp_path / "images")
    series_of(tmp_path / "flair", description="FLAIR")
    outline(series, tmp_path / "rt.dcm", refer=False)
    describe(tmp_path)
    (case,) = read_folders(tmp_path)
    assert case.volume.series_instance_uid == series.volume.series_instance_uid


def test_two_series_that_an_unreferenced_object_may_mean_are_ambiguous(tmp_path):
    series = series_of(tmp_path / "images")
    series_of(tmp_path / "again")
    outline(series, tmp_path / "rt.dcm", refer=False)
    describe(tmp_path)
    read = read_folder_set(tmp_path)
    assert not read.cases
    assert "several-candidates" in codes_of(read)


def test_outlines_of_other_modalities_are_not_ours(tmp_path):
    series = series_of(tmp_path / "mr")
    outline(series, tmp_path / "rt_mr.dcm")
    ct = series_of(tmp_path / "ct", modality="CT")
    outline(ct, tmp_path / "rt_ct.dcm")
    describe(tmp_path)
    read = read_folder_set(tmp_path)
    assert [case.volume.modality for case in read.cases] == ["MR"]
    assert not read.left_out


def test_roles_come_from_the_same_study_on_the_outlined_grid(tmp_path):
    post = series_of(tmp_path / "post")
    shifted = axes(shape=(9, 40, 48), spacing_mm=(2.0, 0.5, 0.4))
    flair = series_of(tmp_path / "flair", description="AX FLAIR", geometry=shifted)
    series_of(tmp_path / "elsewhere", study="1.2.4", description="AX FLAIR")
    outline(post, tmp_path / "rt.dcm")
    roles = {
        "flair": {"series_description": ["*flair*"]},
        "t1ce": {"series_description": ["*T1*post*"]},
    }
    describe(tmp_path, roles=roles)
    (case,) = read_folder_set(tmp_path).cases
    first, second = case.volumes
    assert second.series_instance_uid == post.volume.series_instance_uid
    assert first.series_instance_uid == flair.volume.series_instance_uid
    assert first.geometry is second.geometry
    k, j, i = 1, 6, 5
    source = shifted.to_index(GEOMETRY.to_lps((k, j, i)))
    a, b, c = np.rint(source).astype(int)
    np.testing.assert_allclose(source, (a, b, c), atol=1e-6)
    assert first.voxels[k, j, i] == pytest.approx(flair.volume.voxels[a, b, c], abs=0.01)
    describe(tmp_path, roles=roles, resample=False)
    assert "different-grid" in codes_of(read_folder_set(tmp_path))


def test_missing_role_and_mask_are_reported(tmp_path):
    series = series_of(tmp_path / "a")
    outline(series, tmp_path / "rt.dcm")
    series_of(tmp_path / "b", patient="P-2", study="1.2.5")
    describe(tmp_path, roles={"t1ce": {}, "flair": {"series_description": ["*flair*"]}})
    assert codes_of(read_folder_set(tmp_path)) == ["missing-image", "missing-mask"]


def test_labels_that_are_not_wanted_are_named(tmp_path):
    series = series_of(tmp_path / "a")
    outline(series, tmp_path / "rt.dcm", name="Lung")
    describe(tmp_path)
    read = read_folder_set(tmp_path)
    assert codes_of(read) == ["missing-mask", "no-such-label"]
    assert "Lung, Cord" in str(read.left_out)


def test_empty_outside_and_broken_labels_are_reported(tmp_path):
    for number, (name, keys) in enumerate(
        {"empty": {"kind": "POINT"}, "outside": {"k": 7}, "off": {"k": 1.5}}.items()
    ):
        series = series_of(tmp_path / name, patient=name, study=f"1.2.{number}")
        outline(series, tmp_path / f"{name}.dcm", **keys)
    series = series_of(tmp_path / "torn", patient="torn", study="1.2.9")
    mask = np.zeros((5, 20, 24), bool)
    mask[2, 3:5, 3:5] = True
    dataset = write_seg(tmp_path / "torn.dcm", series, {"gtv": mask})
    dataset.PixelData = dataset.PixelData[:10]
    dataset.save_as(tmp_path / "torn.dcm")
    describe(tmp_path)
    read = read_folder_set(tmp_path)
    assert not read.cases
    assert {name: [p.code for p in found] for name, found in read.left_out.items()} == {
        "empty": ["empty-mask"],
        "outside": ["outline-outside"],
        "off": ["outline-off-plane"],
        "torn": ["unreadable-label"],
    }
    with pytest.raises(InputRejected, match="no-case-left"):
        read_folders(tmp_path)


def test_results_of_this_node_are_no_labels(tmp_path):
    series = series_of(tmp_path / "a")
    mask = np.zeros((5, 20, 24), bool)
    mask[2, 3:5, 3:5] = True
    dataset = write_seg(tmp_path / "seg.dcm", series, {"gtv": mask})
    dataset.ManufacturerModelName = "OncoNode"
    dataset.save_as(tmp_path / "seg.dcm")
    describe(tmp_path)
    assert codes_of(read_folder_set(tmp_path)) == ["missing-mask", "own-result"]


def test_several_objects_on_one_series_are_united_only_when_asked(tmp_path):
    series = series_of(tmp_path / "a")
    outline(series, tmp_path / "rt1.dcm", k=1)
    outline(series, tmp_path / "rt2.dcm", k=3)
    describe(tmp_path)
    assert codes_of(read_folder_set(tmp_path)) == ["several-candidates"]
    describe(tmp_path, unite=True)
    (case,) = read_folders(tmp_path)
    assert case.mask.any(axis=(1, 2)).tolist() == [False, True, False, True, False]


def test_damaged_series_is_reported_by_its_faults(tmp_path):
    series = series_of(tmp_path / "a")
    outline(series, tmp_path / "rt.dcm")
    series.paths[2].unlink()
    (tmp_path / "a/readme.txt").write_text("no DICOM")
    describe(tmp_path)
    read = read_folder_set(tmp_path)
    assert {name: [p.code for p in found] for name, found in read.left_out.items()} == {
        "files": ["unreadable-header"],
        "P-1": ["missing-slices"],
    }


def test_patients_are_found_by_a_pattern_of_their_id(tmp_path):
    for number, patient in enumerate(("TCGA-02-0001-pre", "TCGA-02-0001-post", "X")):
        series = series_of(tmp_path / patient, patient=patient, study=f"1.2.{number}")
        outline(series, tmp_path / f"{patient}.dcm")
    describe(tmp_path, patient=r"^(TCGA-..-....)")
    read = read_folder_set(tmp_path)
    assert [case.patient for case in read.cases] == ["TCGA-02-0001"] * 2
    assert len({case.identifier for case in read.cases}) == 2
    assert codes_of(read) == ["no-patient"]


def test_volume_identity_survives_for_reports(tmp_path):
    series = series_of(tmp_path / "a")
    outline(series, tmp_path / "rt.dcm")
    describe(tmp_path)
    (case,) = read_folders(tmp_path)
    volume = replace(case.volume, voxels=series.volume.voxels)
    assert volume.frame_of_reference_uid == "1.2.3.9"
    assert volume.study_instance_uid == "1.2.3"
