"""Figures of what people said."""

from datetime import UTC, datetime
from typing import Any

import pytest

from node.domain.feedback import Feedback, FeedbackKind, OutlineAgreement, Voice
from node.evaluation.feedback_figures import count_months, readings_of
from tests.factories_feedback import NOON, make_opinion


def make_feedback(*, is_current: bool = True, **values: Any) -> Feedback:
    opinion = make_opinion(**values)
    return Feedback(
        feedback_id=1, opinion=opinion, version=1, recorded_at=NOON, is_current=is_current
    )


def make_outline(dice: float, hd95_mm: float | None) -> OutlineAgreement:
    return OutlineAgreement(
        dice=dice, surface_dice=dice, tolerance_mm=2, hd95_mm=hd95_mm, node_ml=1, reader_ml=1
    )


def test_months_count_only_the_latest_words_of_people() -> None:
    mask, december = FeedbackKind.CORRECTED_MASK, datetime(2026, 12, 1, tzinfo=UTC)
    flip = {"kind": FeedbackKind.CORRECTED_CLASS, "class_after": "Benign"}
    items = [
        make_feedback(),
        make_feedback(kind=FeedbackKind.DISAGREE),
        make_feedback(**flip),
        make_feedback(kind=FeedbackKind.CORRECTED_CLASS, class_after="Malignant"),
        make_feedback(kind=mask, outline=make_outline(0.9, 1.0)),
        make_feedback(kind=mask, outline=make_outline(0.5, 4.0)),
        make_feedback(kind=mask, outline=make_outline(0.0, None), tracking_uid=None),
        make_feedback(kind=FeedbackKind.REJECTION, result_sop_instance_uid="1"),
        make_feedback(kind=FeedbackKind.REJECTION, result_sop_instance_uid="2"),
        make_feedback(is_current=False),
        make_feedback(voice=Voice.ALGORITHM),
        make_feedback(at=december),
        make_feedback(bundle="lung"),
    ]
    first, second, third = count_months(items)
    assert (first.bundle, first.month) == ("brain", "2026-11")
    assert (first.agreed, first.disagreed, first.flips) == (2, 2, 1)
    assert (first.outlines, first.missed, first.rejected) == (2, 1, 1)
    assert first.median_dice == pytest.approx(0.7)
    assert first.median_hd95_mm == pytest.approx(2.5)
    assert (second.month, second.agreed, second.median_dice) == ("2026-12", 1, None)
    assert (third.bundle, third.agreed) == ("lung", 1)


def test_readings_name_the_class_that_was_meant() -> None:
    readings = readings_of(
        [
            make_feedback(kind=FeedbackKind.CORRECTED_MASK),
            make_feedback(kind=FeedbackKind.DISAGREE),
            make_feedback(kind=FeedbackKind.CORRECTED_CLASS, class_after="Benign"),
            make_feedback(malignancy_probability=0.9),
        ]
    )
    assert [reading.agrees for reading in readings] == [False, False, True]
    assert [reading.reader_class for reading in readings] == ["", "Benign", "Malignant"]
    assert [reading.reader_malignant for reading in readings] == [None, False, True]
    assert readings[2].malignancy_probability == 0.9
