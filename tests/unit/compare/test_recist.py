"""RECIST 1.1: each category by its rule, and the doubling time."""

from datetime import date

import pytest

from node.compare.growth import doubling_time
from node.compare.recist import assess_response, choose_targets
from node.domain.prior import EarlierSizes, LesionChange, LesionStatus, Response

FIRST, LAST = date(2023, 7, 1), date(2024, 1, 2)


def change(uid, before, after, status=None, *, is_target=True):
    """One lesion, by its long axes; None where it is not there."""
    known = {
        (True, True): LesionStatus.MATCHED,
        (False, True): LesionStatus.NEW,
        (True, False): LesionStatus.VANISHED,
    }
    return LesionChange(
        status=status or known[before is not None, after is not None],
        tracking_id=f"Lesion {uid}",
        tracking_uid=uid,
        long_axis_before_mm=before,
        long_axis_after_mm=after,
        is_target=is_target and before is not None,
    )


def judge(*changes, earlier=()):
    targets = [each.tracking_uid for each in changes if each.is_target]
    return assess_response(changes, earlier, prior_date=LAST, targets=targets)


@pytest.mark.parametrize(
    ("before", "after", "category"),
    [
        (20.0, None, Response.COMPLETE),
        (20.0, 14.0, Response.PARTIAL),
        (20.0, 14.1, Response.STABLE),
        (20.0, 24.9, Response.STABLE),
        (20.0, 25.0, Response.PROGRESSIVE),
        (30.0, 35.0, Response.STABLE),  # 5 mm, but less than a fifth
        (12.0, 15.0, Response.STABLE),  # a quarter, but less than 5 mm
    ],
)
def test_sum_of_diameters_gives_the_category(before, after, category):
    found = judge(change("1", before, after))
    assert found.category is category
    assert found.baseline_sum_mm == found.nadir_sum_mm == before
    assert found.baseline_date == found.nadir_date == LAST
    assert "RECIST 1.1, by axial diameters that the model measured, for research use" in found.rule
    assert f"{before:.1f} mm" in found.rule


def test_progression_counts_from_the_nadir_and_response_from_the_baseline():
    earlier = [
        EarlierSizes(study_date=FIRST, long_axes_mm={"1": 40.0}),
        EarlierSizes(study_date=date(2023, 10, 1), long_axes_mm={"1": 20.0}),
    ]
    found = judge(change("1", 24.0, 26.0), earlier=earlier)
    assert (found.category, found.baseline_sum_mm, found.nadir_sum_mm) == (
        Response.PROGRESSIVE, 40.0, 20.0,
    )  # fmt: skip
    assert (found.baseline_date, found.nadir_date) == (FIRST, date(2023, 10, 1))
    assert judge(change("1", 24.0, 23.0), earlier=earlier).category is Response.PARTIAL


def test_a_new_lesion_is_progression_whatever_the_others_do():
    found = judge(change("1", 20.0, 5.0), change("2", None, 6.0))
    assert found.category is Response.PROGRESSIVE
    assert "Lesion 2" in found.rule
    assert judge(change("2", None, 6.0)).category is Response.PROGRESSIVE


def test_other_lesions_that_persist_make_a_complete_response_partial():
    rest = change("2", 6.0, 6.0, is_target=False)
    assert judge(change("1", 20.0, None), rest).category is Response.PARTIAL


def test_lesions_too_small_for_targets():
    small = change("1", 8.0, 8.0, is_target=False)
    gone = change("1", 8.0, None, is_target=False)
    assert judge(small).category is Response.NON_CR_NON_PD
    assert judge(gone).category is Response.COMPLETE
    assert judge().category is Response.NOT_EVALUABLE


def test_what_was_not_seen_is_not_evaluable():
    hidden = change("1", 20.0, None, LesionStatus.NOT_COVERED)
    unknown = change("1", 20.0, None, LesionStatus.UNMATCHED)
    assert judge(hidden).category is Response.NOT_EVALUABLE
    assert judge(hidden).sum_mm is None
    assert judge(unknown).category is Response.NOT_EVALUABLE
    new = change("2", None, 12.0)
    assert judge(hidden, new).category is Response.PROGRESSIVE


def test_targets_are_the_two_longest_measurable_lesions():
    axes = {"a": 12.0, "b": 9.9, "c": 30.0, "d": 10.0}
    assert choose_targets(axes) == ("c", "a")
    assert choose_targets({"b": 9.9}) == ()
    # thick slices: twice their distance
    assert choose_targets(axes, slice_distance_mm=5.0) == ("c", "a")
    assert choose_targets(axes, slice_distance_mm=6.5) == ("c",)


def test_doubling_time_is_that_of_exponential_growth():
    assert doubling_time(1.0, 2.0, 90) == (pytest.approx(90.0), "")
    assert doubling_time(1.0, 8.0, 90)[0] == pytest.approx(30.0)
    assert doubling_time(2.0, 1.0, 90)[0] == pytest.approx(-90.0)


@pytest.mark.parametrize(
    ("before", "after", "days", "reason"),
    [
        (1.0, 1.2, 90, "less than 25%"),
        (1.0, None, 90, "no volume in both"),
        (None, 1.0, 90, "no volume in both"),
        (1.0, 2.0, None, "date"),
        (1.0, 2.0, 0, "one day"),
    ],
)
def test_no_doubling_time_without_a_reason(before, after, days, reason):
    value, told = doubling_time(before, after, days)
    assert value is None
    assert reason in told
