import numpy as np
import pytest
from factories_nodules import CENTRE, ball, ct_of
from factories_pointing import disc_contours, write_rtstruct, write_seg, write_sr
from pydicom import dcmread
from pydicom.sr.codedict import codes

from node.assemble.folder import scan_folder
from node.assemble.prompts import PointedAt, pointing_series, read_prompts, require_prompts
from node.assemble.validate import check_series
from node.domain.errors import InputRejected
from node.emulate.ct_series import write_ct_series

OTHER_FRAME = "1.2.3.4"
SHAPE = (9, 64, 64)


@pytest.fixture
def ct(tmp_path):
    volume, mask = ct_of(ball(6.0), shape=SHAPE)
    write_ct_series(volume, tmp_path, name="ct")
    return tmp_path, volume, mask


def read(directory, *, labels=(), own_results=False) -> PointedAt:
    (study,) = scan_folder(directory).studies
    (series,) = [item for item in study.series if item.modality == "CT"]
    series = check_series(series, minimum_slices=1)
    return read_prompts(pointing_series(study, own_results=own_results), series, labels=labels)


def reasons(pointed: PointedAt) -> dict[str, str]:
    return {problem.tag: f"{problem.code}: {problem.found}" for problem in pointed.ignored}


def is_near(prompt, point, tolerance_mm=0.5):
    return np.abs(np.array(prompt.point_lps_mm) - point).max() < tolerance_mm


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_a_segment_points_at_its_centroid(ct, kind):
    directory, _, mask = ct
    uid = write_seg(directory, {"Nodule 1": mask}, kind=kind)
    (prompt,) = read(directory).prompts
    assert is_near(prompt, CENTRE)
    assert (prompt.source, prompt.label, prompt.sop_instance_uid) == ("SEG", "Nodule 1", uid)
    assert prompt.extent_mm == pytest.approx(12.0, abs=1.5)


def test_segments_whose_frames_end_within_a_byte(tmp_path):
    volume, mask = ct_of(ball(6.0), shape=(9, 57, 67))
    write_ct_series(volume, tmp_path, name="odd")
    other, _ = ct_of(ball(4.0, at=(12.0, -8.0, 0.0)), shape=(9, 57, 67))
    write_seg(tmp_path, {"Nodule 1": mask, "Nodule 2": other.voxels > 0})
    first, second = read(tmp_path).prompts
    assert is_near(first, CENTRE)
    assert is_near(second, CENTRE + np.array([12.0, -8.0, 0.0]))


def test_a_crescent_is_pointed_at_within_itself(ct):
    directory, volume, _ = ct
    offsets = volume.geometry.to_lps(np.moveaxis(np.indices(SHAPE), 0, -1)) - CENTRE
    away = np.hypot(offsets[..., 0], offsets[..., 1])
    crescent = (away > 9) & (away < 14) & (offsets[..., 1] < 6)
    write_seg(directory, {"Nodule": crescent})
    (prompt,) = read(directory).prompts
    k, j, i = np.rint(volume.geometry.to_index(prompt.point_lps_mm)).astype(int)
    assert crescent[k, j, i]
    # deep within, not at its rim
    x, y, _ = np.array(prompt.point_lps_mm) - CENTRE
    assert np.hypot(x, y) == pytest.approx(11.5, abs=1.0)


def test_contours_point_at_their_middle(ct):
    directory, volume, _ = ct
    centre = CENTRE + np.array([4.0, -3.0, 1.0])
    uid = write_rtstruct(directory, {"GTV-1": disc_contours(volume, centre, 6.0)})
    (prompt,) = read(directory).prompts
    assert is_near(prompt, centre, 1.1)  # slices are 2 mm apart
    assert np.abs(np.array(prompt.point_lps_mm)[:2] - centre[:2]).max() < 0.2
    assert (prompt.source, prompt.label, prompt.sop_instance_uid) == ("RTSTRUCT", "GTV-1", uid)
    assert prompt.extent_mm == pytest.approx(12.0, abs=0.5)


def test_a_hole_is_not_pointed_at(ct):
    directory, volume, _ = ct
    rings = disc_contours(volume, CENTRE, 10.0) + disc_contours(volume, CENTRE, 8.0)
    write_rtstruct(directory, {"GTV": rings})
    (prompt,) = read(directory).prompts
    away = np.array(prompt.point_lps_mm) - CENTRE
    assert np.hypot(away[0], away[1]) > 4.0


def test_a_point_of_an_rtstruct(ct):
    directory, _, _ = ct
    write_rtstruct(directory, {"nodule": [CENTRE[None] + 1.5]}, geometric_type="POINT")
    (prompt,) = read(directory).prompts
    assert is_near(prompt, CENTRE + 1.5, 1e-3)
    assert prompt.extent_mm is None


@pytest.mark.parametrize(
    ("graphic", "offsets_px", "tolerance_mm"),
    [
        ("POINT", [[0, 0]], 0.01),
        ("POLYLINE", [[-6, 0], [6, 0]], 0.01),
        ("POLYLINE", [[-6, -6], [6, -6], [6, 6], [-6, 6], [-6, -6]], 0.2),
        ("CIRCLE", [[0, 0], [5, 0]], 0.2),
        ("ELLIPSE", [[-6, 0], [6, 0], [0, -3], [0, 3]], 0.2),
    ],
)
def test_image_coordinates_of_a_report(ct, graphic, offsets_px, tolerance_mm):
    directory, volume, _ = ct
    column, row = 20.5, 30.5  # middle of the pixel [30, 20] (PS3.3 C.18.6)
    points = np.array(offsets_px, float) + np.array([column, row])
    write_sr(directory, {"Nodule A": (graphic, points)}, slice_index=3)
    (prompt,) = read(directory).prompts
    assert is_near(prompt, volume.geometry.to_lps((3, 30, 20)), tolerance_mm)
    assert prompt.source == "SR"
    assert prompt.label == "Nodule A, Nodule"


@pytest.mark.parametrize("graphic", ["POINT", "POLYGON"])
def test_space_coordinates_of_a_report(ct, graphic):
    directory, volume, _ = ct
    points = CENTRE[None] if graphic == "POINT" else disc_contours(volume, CENTRE, 5.0)[2]
    if graphic == "POLYGON":
        points = np.concatenate([points, points[:1]])
    write_sr(directory, {"N": (graphic, points)}, in_space=True)
    (prompt,) = read(directory).prompts
    assert is_near(prompt, points[:-1].mean(axis=0) if len(points) > 1 else CENTRE, 0.2)


def test_every_group_is_a_prompt(ct):
    directory, _, _ = ct
    write_sr(directory, {"a": ("POINT", [[10, 10]]), "b": ("POINT", [[40, 20]])})
    assert [prompt.label for prompt in read(directory).prompts] == ["a, Nodule", "b, Nodule"]


def test_organs_margins_and_bodies_are_left_out_by_name(ct):
    directory, volume, _ = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    names = ["GTV-1", "Lung-Right", "Heart", "Spinal-Cord", "PTV1", "BODY", "nodule in left lung"]
    write_rtstruct(directory, dict.fromkeys(names, disc))
    pointed = read(directory)
    assert [prompt.label for prompt in pointed.prompts] == ["GTV-1", "nodule in left lung"]
    told = reasons(pointed)
    assert set(told) == {f"RTSTRUCT {name}" for name in names[1:6]}
    assert all("organ" in reason for reason in told.values())


def test_types_and_categories_count_where_names_say_nothing(ct):
    directory, volume, mask = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    write_rtstruct(
        directory, {"R1": disc, "R2": disc, "R3": disc}, types={"R1": "GTV", "R2": "ORGAN"}
    )
    write_seg(
        directory,
        {"S1": mask, "S2": mask, "S3": mask, "S4": mask},
        categories={"S1": codes.SCT.MorphologicallyAbnormalStructure},
        types={"S1": codes.SCT.Tissue, "S2": codes.SCT.Mass, "S3": codes.SCT.Lung},
    )
    pointed = read(directory)
    assert {prompt.label for prompt in pointed.prompts} == {"R1", "S1", "S2"}
    told = reasons(pointed)
    assert "organ" in told["RTSTRUCT R2"]
    assert "organ" in told["SEG S3"]
    assert "tells nothing" in told["RTSTRUCT R3"]
    assert "tells nothing" in told["SEG S4"]


def test_a_name_that_tells_nothing_is_taken_if_no_other_does(ct):
    directory, volume, _ = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    write_rtstruct(directory, {"ROI-3": disc, "heart": disc})
    assert [prompt.label for prompt in read(directory).prompts] == ["ROI-3"]


def test_wanted_names_overrule_the_usual_ones(ct):
    directory, volume, _ = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    write_rtstruct(directory, {"GTV-1": disc, "Lung op": disc})
    pointed = read(directory, labels=["lung*"])
    assert [prompt.label for prompt in pointed.prompts] == ["Lung op"]
    assert "another name" in reasons(pointed)["RTSTRUCT GTV-1"]


def test_regions_of_another_frame_are_told(ct):
    directory, volume, _ = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    write_rtstruct(
        directory, {"GTV": disc}, frame_of_reference_uid=OTHER_FRAME, reference_series=False
    )
    pointed = read(directory)
    assert not pointed.prompts
    assert reasons(pointed)["RTSTRUCT GTV"].startswith("region-elsewhere")


def test_a_reference_to_the_series_is_enough(ct):
    directory, volume, _ = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    write_rtstruct(directory, {"GTV": disc}, frame_of_reference_uid=OTHER_FRAME)
    assert len(read(directory).prompts) == 1


def test_a_region_as_large_as_a_body_is_no_lesion(ct):
    directory, volume, _ = ct
    write_rtstruct(directory, {"GTV": disc_contours(volume, CENTRE, 90.0)})
    pointed = read(directory)
    assert not pointed.prompts
    assert "180 mm across" in reasons(pointed)["RTSTRUCT GTV"]


def test_empty_and_damaged_regions_are_told_and_others_go_on(ct):
    directory, volume, _ = ct
    disc = disc_contours(volume, CENTRE, 6.0)
    write_rtstruct(directory, {"GTV-0": [], "GTV-1": disc, "GTV-2": disc})
    path = directory / "rtstruct.dcm"
    damaged = dcmread(path)
    damaged.ROIContourSequence[2].ContourSequence[0].ContourData = ["1", "2"]
    damaged.save_as(path)
    pointed = read(directory)
    assert [prompt.label for prompt in pointed.prompts] == ["GTV-1"]
    told = reasons(pointed)
    assert told["RTSTRUCT GTV-0"].startswith("unreadable-region")
    assert told["RTSTRUCT GTV-2"].startswith("unreadable-region")


def test_own_results_are_no_prompts_unless_asked(ct):
    directory, _, mask = ct
    own = {
        "manufacturer": "OncoNode project",
        "manufacturer_model_name": "onconode",
        "software_versions": "1",
        "device_serial_number": "1",
    }
    write_seg(directory, {"Nodule 1": mask}, made_by=own)
    assert not read(directory).prompts
    assert len(read(directory, own_results=True).prompts) == 1


def test_nothing_to_go_by_is_refused_with_a_remedy(ct):
    directory, volume, _ = ct
    (study,) = scan_folder(directory).studies
    with pytest.raises(InputRejected) as caught:
        require_prompts(PointedAt(), study.series[0])
    (problem,) = caught.value.problems
    assert problem.code == "nothing-pointed-at"
    assert "--seed" in problem.remedy
    write_rtstruct(directory, {"Heart": disc_contours(volume, CENTRE, 6.0)})
    with pytest.raises(InputRejected) as caught:
        require_prompts(read(directory), study.series[0])
    assert [p.code for p in caught.value.problems] == ["nothing-pointed-at", "region-ignored"]


def test_prompts_are_handed_on_unchanged(ct):
    directory, _, mask = ct
    write_seg(directory, {"Nodule": mask})
    pointed = read(directory)
    (study,) = scan_folder(directory).studies
    assert require_prompts(pointed, study.series[0]) == pointed.prompts


def test_an_object_that_refers_to_a_result_is_an_answer_and_no_prompt(ct):
    directory, _, mask = ct
    uid = write_seg(directory, {"Nodule 1": mask})
    (study,) = scan_folder(directory).studies
    assert len(pointing_series(study, results={"1.2.3"})) == 1
    image = str(dcmread(next(directory.glob("CT.*.dcm"))).SOPInstanceUID)
    assert pointing_series(study, results={image}) == ()  # as if the image were a result
    assert [item.sop_instance_uid for item in pointing_series(study)[0].instances] == [uid]
