"""A comparison as a whole, where images cannot be registered, or show another piece."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from factories_priors import balls, make_exam, make_prior, make_volume_of, segment_mask
from factories_volumes import make_geometry

from node.compare.exams import compare_exams
from node.compare.register import register
from node.compare.summary import summarize_comparison
from node.domain.prior import EarlierSizes, LesionStatus, Response
from node.domain.volume import Volume
from node.language import words_of

GRID = make_geometry((24, 60, 60), (2.0, 1.0, 1.0))
A, B = (-30, -40, 30, 8), (-10, -15, 40, 5)


def body(seed=0, geometry=GRID) -> np.ndarray:
    """Smooth structure that registration can hold on to: the sum of waves in patient space."""
    rng = np.random.default_rng(seed)
    points = geometry.to_lps(np.moveaxis(np.indices(geometry.shape), 0, -1))
    waves = sum(np.sin(points @ rng.normal(0, 0.25, 3) + rng.uniform(0, 6)) for _ in range(12))
    return np.asarray(500 + 60 * waves, np.int16)


def visit(places, number, *, seed=0, geometry=GRID) -> tuple[Volume, object]:
    volume = make_volume_of(body(seed, geometry), geometry, visit=str(number))
    return volume, segment_mask(volume, balls(geometry, places))


def test_new_and_vanished_lesions_are_named():
    earlier, before = visit([A, B], 1)
    present, after = visit([A, (-30, -15, 16, 4)], 2)
    compared = compare_exams(present, after, make_prior(before), earlier)
    told = [(each.status, each.tracking_id) for each in compared.comparison.changes]
    assert told == [
        (LesionStatus.MATCHED, "Lesion 1"),
        (LesionStatus.NEW, "Lesion 3"),  # a number that nobody had
        (LesionStatus.VANISHED, "Lesion 2"),
    ]
    assert compared.comparison.vanished[0].tracking_uid == before.lesions[1].tracking_uid
    assert compared.comparison.recist.category is Response.PROGRESSIVE
    assert compared.comparison.change_of(2).status is LesionStatus.NEW
    assert compared.segmentation.lesions[1].tracking_id == "Lesion 3"
    assert compared.segmentation.lesions[1].tracking_uid == after.lesions[1].tracking_uid


def test_images_of_something_else_are_not_matched_but_totals_are_told():
    earlier, before = visit([A], 1, seed=1)
    present, after = visit([A], 2, seed=2)
    compared = compare_exams(present, after, make_prior(before), earlier)
    comparison = compared.comparison
    assert not comparison.registration.is_trusted
    assert [each.status for each in comparison.changes] == [LesionStatus.UNMATCHED] * 2
    assert compared.segmentation.lesions[0].tracking_uid == after.lesions[0].tracking_uid
    assert comparison.recist.category is Response.NOT_EVALUABLE
    assert comparison.total_volume_change == pytest.approx(0.0, abs=1e-9)
    assert "could not be registered" in comparison.remarks[0]


def test_images_that_nowhere_meet_are_told_in_the_same_words_each_time():
    far = replace(
        GRID, affine=GRID.affine + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2000]])
    )
    present, earlier = (
        replace(make_volume_of(body(), grid), frame_of_reference_uid="1.2.3")
        for grid in (GRID, far)
    )
    reason = register(present, earlier).reason
    assert reason.startswith("the images do not overlap")
    assert "0x" not in reason  # an address would give the same result another report
    assert register(present, earlier).reason == reason


def test_without_the_earlier_images_nothing_is_matched():
    _, before = visit([A], 1)
    present, after = visit([A], 2)
    comparison = compare_exams(present, after, make_prior(before), None).comparison
    assert {each.status for each in comparison.changes} == {LesionStatus.UNMATCHED}
    assert "not at hand" in comparison.remarks[0]


def test_a_lesion_outside_the_present_images_has_not_vanished():
    earlier, before = visit([A, B], 1)
    present, after = visit([A], 2, geometry=make_geometry((12, 60, 60), (2.0, 1.0, 1.0)))
    comparison = compare_exams(present, after, make_prior(before), earlier).comparison
    assert comparison.changes[-1].status is LesionStatus.NOT_COVERED
    assert any("not within these images: Lesion 2" in each for each in comparison.remarks)


def test_a_new_lesion_where_the_earlier_images_do_not_reach_is_said_to_be_there():
    earlier, before = visit([], 1, geometry=make_geometry((12, 60, 60), (2.0, 1.0, 1.0)))
    present, after = visit([(-10, -15, 46, 5)], 2)
    comparison = compare_exams(present, after, make_prior(before), earlier).comparison
    assert comparison.changes[0].status is LesionStatus.NEW
    assert any("do not reach: Lesion 1" in each for each in comparison.remarks)


def test_one_that_a_silent_report_may_have_missed_is_not_called_new():
    """An earlier version did not write where lesions outside the images lie."""
    earlier, before = visit([A], 1, geometry=make_geometry((12, 60, 60), (2.0, 1.0, 1.0)))
    present, after = visit([A, (-10, -15, 46, 5)], 2)
    uid = before.lesions[0].tracking_uid
    first = EarlierSizes(study_date=date(2023, 1, 1), long_axes_mm={uid: 16.0, "1.2.9": 10.0})
    prior = replace(make_prior(before), history=(first,))
    comparison = compare_exams(present, after, prior, earlier).comparison
    assert [each.status for each in comparison.changes] == [
        LesionStatus.MATCHED,
        LesionStatus.UNMATCHED,
    ]
    assert comparison.recist.category is Response.NOT_EVALUABLE
    (remark,) = [each for each in comparison.remarks if "not called new: Lesion 2" in each]
    assert words_of("zh").retell(remark).endswith("故不标为新发：病灶 2。")
    known = replace(prior, history=(replace(first, long_axes_mm={uid: 16.0}),))
    comparison = compare_exams(present, after, known, earlier).comparison
    assert comparison.changes[1].status is LesionStatus.NEW


def test_targets_and_sums_follow_the_first_examination():
    earlier, before = visit([A], 1)
    present, after = visit([A], 2)
    uid = before.lesions[0].tracking_uid
    linked = EarlierSizes(study_date=date(2023, 1, 1), long_axes_mm={uid: 60.0})
    stranger = EarlierSizes(study_date=date(2022, 1, 1), long_axes_mm={"9": 90.0})
    prior = replace(make_prior(before), history=(stranger, linked))
    recist = compare_exams(present, after, prior, earlier).comparison.recist
    assert (recist.baseline_sum_mm, recist.baseline_date) == (60.0, date(2023, 1, 1))
    assert recist.category is Response.PARTIAL


def test_summary_holds_json_and_no_patient():
    earlier, before = visit([A], 1)
    present, after = visit([A], 2)
    prior = make_prior(before, interval_days=None, exam=make_exam(None))
    told = summarize_comparison(compare_exams(present, after, prior, earlier).comparison)
    assert told["prior"]["study_date"] == ""
    assert told["interval_days"] is None
    (change,) = told["changes"]
    assert change["status"] == "matched"
    assert change["volume_change"] == 0.0
    assert change["doubling_time_days"] is None
    assert "date" in change["doubling_time_reason"]
    assert len(told["registration"]["matrix"]) == 12
