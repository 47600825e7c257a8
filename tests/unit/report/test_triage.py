"""Which results are flagged: each rule at its threshold, and what raises none."""

import pytest
from factories_messages import make_change, make_comparison

from node.domain.code import Code
from node.domain.finding import BENIGN, INDETERMINATE, MALIGNANT, Finding
from node.domain.prior import Comparison, LesionStatus
from node.domain.segmentation import Lesion
from node.domain.triage import Flag, TriageRule, decide_triage

RULE = TriageRule()


def lesion(number: int = 1, *, long_axis_mm: float = 15.0) -> Lesion:
    return Lesion(
        number=number,
        tracking_id=f"lesion {number}",
        tracking_uid=f"2.25.{number}",
        voxel_count=1,
        volume_ml=1.0,
        long_axis_mm=long_axis_mm,
        short_axis_mm=5.0,
        maximum_3d_diameter_mm=16.0,
        centroid_lps_mm=(0.0, 0.0, 0.0),
        largest_slice=0,
        mean_probability=0.9,
    )


def finding(assessment: Code, probability: float | None) -> Finding:
    return Finding(lesion_number=1, malignancy_probability=probability, assessment=assessment)


@pytest.mark.parametrize(
    ("assessment", "probability", "limit", "flags"),
    [
        (MALIGNANT, 0.5, 0.5, (Flag.LIKELY_MALIGNANT,)),
        (MALIGNANT, 0.79, 0.8, ()),
        (MALIGNANT, None, 0.0, ()),
        (BENIGN, 0.9, 0.5, ()),
        (INDETERMINATE, 0.9, 0.5, ()),  # the classifier would not judge it
    ],
)
def test_likely_malignant(
    assessment: Code, probability: float | None, limit: float, flags: tuple[Flag, ...]
) -> None:
    rule = TriageRule(malignant_probability=limit)
    triage = decide_triage([lesion()], [finding(assessment, probability)], None, rule)
    assert triage.flags == flags
    assert triage.is_flagged is bool(flags)


@pytest.mark.parametrize(
    ("status", "before_ml", "after_ml", "flags"),
    [
        (LesionStatus.MATCHED, 1.0, 1.25, (Flag.GROWING,)),
        (LesionStatus.MATCHED, 1.0, 1.24, ()),
        (LesionStatus.MATCHED, 0.1, 0.14, ()),  # 40 %, and yet less than the voxel error
        (LesionStatus.MATCHED, 1.0, 0.2, ()),
        (LesionStatus.SPLIT, 1.0, 2.0, (Flag.GROWING,)),
        (LesionStatus.MERGED, 1.0, 2.0, (Flag.GROWING,)),
        (LesionStatus.UNMATCHED, 1.0, 2.0, ()),  # not registered: nothing can be said
        (LesionStatus.NEW, None, 1.0, (Flag.NEW_LESION,)),
    ],
)
def test_growth(
    status: LesionStatus, before_ml: float | None, after_ml: float, flags: tuple[Flag, ...]
) -> None:
    comparison = make_comparison(make_change(1, status, before_ml=before_ml, after_ml=after_ml))
    assert decide_triage([lesion()], [], comparison, RULE).flags == flags


def test_a_short_new_lesion_raises_no_flag() -> None:
    comparison = make_comparison(make_change(1, LesionStatus.NEW, before_ml=None, after_ml=0.1))
    assert decide_triage([lesion(long_axis_mm=4.9)], [], comparison, RULE).flags == ()


def test_a_vanished_lesion_raises_no_flag() -> None:
    gone = make_change(None, LesionStatus.VANISHED, before_ml=1.0, after_ml=None)
    assert not decide_triage([], [], make_comparison(gone), RULE).is_flagged


def test_each_flag_names_its_lesion_and_its_figures() -> None:
    comparison: Comparison = make_comparison(
        make_change(1, after_ml=1.5),
        make_change(2, LesionStatus.NEW, before_ml=None, after_ml=0.5),
    )
    triage = decide_triage([lesion(1), lesion(2)], [finding(MALIGNANT, 0.9)], comparison, RULE)
    assert triage.flags == (Flag.LIKELY_MALIGNANT, Flag.GROWING, Flag.NEW_LESION)
    assert triage.flags_of(1) == (Flag.LIKELY_MALIGNANT, Flag.GROWING)
    assert triage.flags_of(2) == (Flag.NEW_LESION,)
    assert [each.reason for each in triage.raised] == [
        "probability 90%, at least 50%",
        "1.00 to 1.50 ml, +50%, at least +25% and 0.05 ml",
        "long axis 15.0 mm, at least 5 mm",
    ]
