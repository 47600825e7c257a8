"""Every fault of a series is told; every regular stack becomes a grid."""

import random
from dataclasses import replace

import numpy as np
import pytest
from factories_images import checked_series, edit_files, only_series
from pydicom.uid import generate_uid

from node.assemble.validate import check_series
from node.domain.errors import InputRejected
from node.emulate.phantom import ORIENTATIONS, Flaw, write_case


def codes_of(directory, *, minimum_slices=3):
    with pytest.raises(InputRejected) as rejected:
        checked_series(directory, minimum_slices=minimum_slices)
    return [problem.code for problem in rejected.value.problems]


def problem_of(directory):
    with pytest.raises(InputRejected) as rejected:
        checked_series(directory)
    (problem,) = rejected.value.problems
    return problem


def shift(axis, amount_mm):
    """An edit that moves slice k by ``amount_mm(k)`` along one patient axis."""

    def edit(dataset, k):
        position = [float(value) for value in dataset.ImagePositionPatient]
        position[axis] += amount_mm(k)
        dataset.ImagePositionPatient = position

    return edit


@pytest.mark.parametrize("orientation", sorted(ORIENTATIONS))
def test_every_orientation_gives_its_grid(tmp_path, orientation):
    written = write_case("brain2", tmp_path, orientation=orientation)
    series = checked_series(tmp_path)
    assert series.geometry.is_close(written.geometry, 1e-6)
    assert tuple(place.source_uid for place in series.slices) == written.source_uids
    assert tuple(item.sop_instance_uid for item in series.instances) == written.source_uids


def test_order_of_arrival_does_not_matter(tmp_path):
    written = write_case("brain2", tmp_path)
    series = only_series(tmp_path)
    shuffled = list(series.instances)
    random.Random(4).shuffle(shuffled)
    again = check_series(replace(series, instances=tuple(shuffled)), minimum_slices=3)
    assert tuple(place.source_uid for place in again.slices) == written.source_uids


@pytest.mark.parametrize(
    ("flaw", "code"),
    [
        (Flaw.DROP_SLICE, "missing-slices"),
        (Flaw.DUPLICATE_POSITIONS, "duplicate-position"),
        (Flaw.SINGLE_SLICE, "single-slice"),
        (Flaw.MISSING_POSITION, "missing-position"),
        (Flaw.MISSING_ORIENTATION, "missing-orientation"),
        (Flaw.MIXED_ORIENTATION, "mixed-orientation"),
        (Flaw.MIXED_MATRIX, "mixed-matrix"),
        (Flaw.RGB, "not-grey"),
        (Flaw.PALETTE, "not-grey"),
        (Flaw.ZERO_ROWS, "empty-matrix"),
    ],
)
def test_flaw_is_told_by_its_code_and_nothing_else(tmp_path, flaw, code):
    write_case("brain2", tmp_path, flaws=[flaw])
    assert codes_of(tmp_path) == [code]


def test_all_faults_are_told_at_once(tmp_path):
    flaws = [Flaw.RGB, Flaw.DROP_SLICE, Flaw.MIXED_ORIENTATION, Flaw.DUPLICATE_POSITIONS]
    write_case("brain2", tmp_path, flaws=flaws)
    codes = {"not-grey", "missing-slices", "mixed-orientation", "duplicate-position"}
    assert set(codes_of(tmp_path)) == codes


def test_gap_tells_the_steps(tmp_path):
    write_case("brain2", tmp_path, flaws=[Flaw.DROP_SLICE])
    problem = problem_of(tmp_path)
    assert problem.found == "1 gap(s) of 13.00 mm: about 1 slice(s) missing"
    assert problem.expected == "one slice every 6.50 mm"


def test_tilted_gantry_gives_a_sheared_grid(tmp_path):
    written = write_case("brain2", tmp_path, orientation="axial", flaws=[Flaw.GANTRY_TILT])
    series = checked_series(tmp_path)
    assert series.geometry.is_close(written.geometry, 1e-6)
    slice_step = series.geometry.affine[:, 0]
    assert np.degrees(np.arctan2(slice_step[1], slice_step[2])) == pytest.approx(15, abs=1e-3)


def test_shift_that_changes_from_slice_to_slice_is_refused(tmp_path):
    written = write_case("brain2", tmp_path, orientation="axial")
    edit_files(written.paths, shift(1, lambda k: 0.05 * k * k))
    assert codes_of(tmp_path) == ["uneven-shift"]


def test_uneven_steps_are_refused(tmp_path):
    written = write_case("brain2", tmp_path, orientation="axial")
    edit_files(written.paths, shift(2, lambda k: 0.8 * (k % 2)))
    assert codes_of(tmp_path) == ["uneven-spacing"]


def test_rounded_positions_are_accepted(tmp_path):
    written = write_case("brain2", tmp_path, orientation="axial")
    edit_files(written.paths, shift(2, lambda k: 0.05 * (-1) ** k))
    checked_series(tmp_path)


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("PixelSpacing", [0.5, 0.5], "mixed-spacing"),
        ("FrameOfReferenceUID", "1.2.3.4", "mixed-frame-of-reference"),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", "unsupported-sop-class"),
        ("BitsAllocated", 64, "unsupported-bits"),
        ("ImagePositionPatient", [1.0, 2.0], "missing-position"),
        ("PixelSpacing", [0.0, 0.5], "missing-spacing"),
    ],
)
def test_one_bad_header_among_good_ones_is_told(tmp_path, keyword, value, code):
    written = write_case("brain2", tmp_path, orientation="axial")

    def edit(dataset, _k):
        setattr(dataset, keyword, value)

    edit_files(written.paths[-1:], edit)
    assert code in codes_of(tmp_path)


def test_orientation_that_is_no_rotation_is_told(tmp_path):
    written = write_case("brain2", tmp_path)

    def edit(dataset, _k):
        dataset.ImageOrientationPatient = [1, 0, 0, 0.5, 0.5, 0]

    edit_files(written.paths, edit)
    assert codes_of(tmp_path) == ["invalid-orientation"]


def test_unsupported_transfer_syntax_is_told(tmp_path):
    write_case("brain2", tmp_path)
    series = only_series(tmp_path)
    video = [
        replace(item, transfer_syntax_uid="1.2.840.10008.1.2.4.102") for item in series.instances
    ]
    with pytest.raises(InputRejected, match="unsupported-transfer-syntax"):
        check_series(replace(series, instances=tuple(video)), minimum_slices=3)


def test_too_few_slices_for_the_setting(tmp_path):
    write_case("brain2", tmp_path)
    assert codes_of(tmp_path, minimum_slices=24) == ["too-few-slices"]


def test_missing_frame_of_reference_is_allowed(tmp_path):
    written = write_case("brain2", tmp_path)

    def edit(dataset, _k):
        del dataset.FrameOfReferenceUID

    edit_files(written.paths, edit)
    assert checked_series(tmp_path).geometry is not None


def test_file_that_vanished_is_told(tmp_path):
    written = write_case("brain2", tmp_path)
    series = only_series(tmp_path)
    written.paths[5].unlink()
    with pytest.raises(InputRejected) as rejected:
        check_series(series, minimum_slices=3)
    told = {problem.code: problem for problem in rejected.value.problems}
    assert told["unreadable-header"].uid == written.source_uids[5]


def test_objects_without_images_are_told_once(tmp_path):
    written = write_case("brain2", tmp_path)

    def edit(dataset, _k):
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
            "1.2.840.10008.5.1.4.1.1.481.3"
        )
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword in ("ImagePositionPatient", "Rows", "PixelData", "PhotometricInterpretation"):
            delattr(dataset, keyword)

    edit_files(written.paths, edit)
    assert codes_of(tmp_path) == ["unsupported-sop-class"]
