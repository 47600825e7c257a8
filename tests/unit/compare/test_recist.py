"""RECIST 1.1: each category by its rule, and the doubling time."""

from dataclasses import replace
from datetime import date

import pytest

from node.compare.growth import doubling_time
from node.compare.lineage import choose_targets
from node.compare.recist import assess_response
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
        prior_tracking_uid=None if before is None else uid,
        long_axis_before_mm=before,
        long_axis_after_mm=after,
        is_target=is_target and before is not None,
    )


def judge(*changes, earlier=(), targets=None, vanished=()):
    if targets is None:
        targets = [each.tracking_uid for each in changes if each.is_target]
    before = {
        each.prior_tracking_uid: each.long_axis_before_mm
        for each in changes
        if each.prior_tracking_uid
    }
    last = EarlierSizes(study_date=LAST, long_axes_mm=before, vanished=frozenset(vanished))
    return assess_response(changes, [*earlier, last], targets=targets)


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


def sizes(vanished=(), **long_axes_mm):
    return EarlierSizes(study_date=FIRST, long_axes_mm=long_axes_mm, vanished=frozenset(vanished))


def test_a_target_that_the_examination_before_did_not_show_is_not_gone():
    """Of two lesions of 20 mm the second lay outside the images then and now."""
    one = change("a", 20.0, 20.0)
    found = judge(one, earlier=[sizes(a=20.0, b=20.0)], targets=["a", "b"])
    assert found.category is Response.NOT_EVALUABLE
    assert (found.sum_mm, found.baseline_sum_mm, found.nadir_sum_mm) == (None, 40.0, 40.0)
    assert "not known since an earlier examination" in found.rule
    new = change("c", None, 12.0)
    assert judge(one, new, earlier=[sizes(a=20.0, b=20.0)], targets=["a", "b"]).category is (
        Response.PROGRESSIVE
    )


def test_what_a_visit_calls_outside_its_images_is_not_gone_where_nothing_was_found():
    hidden = EarlierSizes(study_date=FIRST, long_axes_mm={}, unseen=frozenset("b"))
    one = change("a", 20.0, 20.0)
    found = judge(one, earlier=[sizes(a=20.0, b=20.0), hidden], targets=["a", "b"])
    assert found.category is Response.NOT_EVALUABLE
    assert "not known since an earlier examination" in found.rule


@pytest.mark.parametrize(("vanished", "category"), [("", "NE"), ("a", "CR")])
def test_targets_are_gone_only_where_a_report_says_so(vanished, category):
    """Nothing was found, then and now; it may have been another place, or not compared."""
    found = judge(earlier=[sizes(a=20.0)], targets=["a"], vanished=vanished)
    assert found.category is Response(category)


def test_growth_of_a_target_with_another_lesion_in_it_is_not_evaluable():
    """A target of 20 mm has met a small lesion: 30 mm may be both, 13 mm are a response anyway."""
    for after, category in ((30.0, "NE"), (22.0, "SD"), (13.0, "PR")):
        grown = replace(
            change("n", 8.0, after, LesionStatus.MERGED),
            further_prior_tracking_uids=("a",),
            stems=frozenset({"a", "n"}),
            lesion_number=1,
            is_target=True,
        )
        found = judge(grown, earlier=[sizes(a=20.0, n=8.0)], targets=["a"])
        assert (found.category, found.baseline_sum_mm) == (Response(category), 20.0)
        merged = EarlierSizes(
            study_date=LAST, long_axes_mm={"n": 22.0}, predecessors={"n": frozenset("a")}
        )
        later = replace(
            change("n", 22.0, after), stems=grown.stems, lesion_number=1, is_target=True
        )
        chain = [sizes(a=20.0, n=8.0), merged]
        assert assess_response([later], chain, targets=["a"]).category is Response(category)


def test_a_part_of_a_target_that_the_baseline_did_not_show_gives_no_sum():
    baseline = EarlierSizes(
        study_date=FIRST,
        long_axes_mm={"a": 20.0},
        unseen=frozenset("b"),
        predecessors={"b": frozenset("a")},
    )
    again = replace(change("b", None, 15.0, LesionStatus.MATCHED), stems=frozenset("ab"))
    changes = [change("a", 20.0, 20.0), replace(again, is_target=True)]
    found = assess_response(changes, [baseline], targets=["a"])
    assert (found.category, found.sum_mm) == (Response.NOT_EVALUABLE, None)


@pytest.mark.parametrize("targets", [["a"], []])
def test_a_lesion_that_may_be_an_old_one_is_no_progression(targets):
    doubtful = change("x", None, 12.0, LesionStatus.UNMATCHED)
    old = change("a", 20.0, 20.0, is_target=bool(targets))
    found = judge(old, doubtful, targets=targets)
    assert found.category is Response.NOT_EVALUABLE
    assert "may be one that the latest earlier examination did not show" in found.rule
    new = change("c", None, 12.0)
    assert judge(old, doubtful, new, targets=targets).category is Response.PROGRESSIVE


@pytest.mark.parametrize("earlier", [
    [sizes(a=20.0, b=20.0)],
    [sizes(a=20.0, b=20.0), sizes(a=20.0, vanished="b")],
    ])  # fmt: skip
def test_a_target_that_was_told_gone_counts_nothing(earlier):
    last = () if len(earlier) > 1 else ("b",)  # it is told once
    found = judge(change("a", 20.0, 20.0), earlier=earlier, targets=["a", "b"], vanished=last)
    assert (found.category, found.sum_mm, found.nadir_sum_mm) == (Response.PARTIAL, 20.0, 20.0)


def test_a_target_outside_earlier_images_makes_no_nadir():
    earlier = [sizes(a=20.0, b=20.0), sizes(a=20.0)]
    found = judge(change("a", 20.0, 20.0), change("b", 20.0, 20.0), earlier=earlier)
    assert (found.category, found.nadir_sum_mm) == (Response.STABLE, 40.0)


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
