"""Sentences are composed where they come from, and told in Chinese without an English word left."""

import re
from dataclasses import replace
from datetime import date
from types import SimpleNamespace

import pytest
from factories_report import axes

from node.assemble.completeness import judge_completeness
from node.case_remarks import tell_parts, tell_roles, tell_thickness
from node.classify.predict import AbstainRule
from node.compare.growth import doubling_time
from node.compare.recist import assess_response
from node.domain.prior import EarlierSizes, LesionChange, LesionStatus
from node.domain.study import Part
from node.language import words_of

RULE = AbstainRule(low=0.4, high=0.6, novelty_limit=2.5)


def changed(status: LesionStatus, before: float | None, after: float | None) -> LesionChange:
    return LesionChange(
        status=status,
        tracking_id="Lesion 1",
        tracking_uid="1.1",
        lesion_number=1,
        prior_tracking_uid=None if before is None else "1.1",
        long_axis_before_mm=before,
        long_axis_after_mm=after,
        is_target=status is not LesionStatus.NEW,
    )


def responses():
    matched, vanished, new = LesionStatus.MATCHED, LesionStatus.VANISHED, LesionStatus.NEW
    cases = [
        ([changed(matched, 20, 30)], ["1.1"]),
        ([changed(matched, 20, 12)], ["1.1"]),
        ([changed(matched, 20, 21)], ["1.1"]),
        ([changed(vanished, 20, None)], ["1.1"]),
        ([changed(new, None, 8)], ["1.1"]),
        ([changed(LesionStatus.UNMATCHED, None, 8)], ["1.1"]),
        ([changed(LesionStatus.UNMATCHED, 20, None)], ["1.1"]),
        ([changed(LesionStatus.NOT_COVERED, 20, None)], ["1.1"]),
        ([changed(matched, 6, 7)], []),
        ([], []),
    ]
    for changes, targets in cases:
        yield assess_response(changes, [told(2023, changes)], targets=targets).rule
    one, two = told(2022, [], others=("1.1", "1.2")), told(2023, cases[2][0])
    yield assess_response(cases[2][0], [one, two], targets=["1.1", "1.2"]).rule
    grown = replace(changed(matched, 20, 30), stems=frozenset({"1.1", "1.2"}))
    alone = told(2023, [grown], others=("1.2",))
    yield assess_response([grown], [alone], targets=["1.1"]).rule
    part = replace(alone, unseen=frozenset({"1.3"}), predecessors={"1.3": frozenset({"1.1"})})
    yield assess_response([grown], [part], targets=["1.1"]).rule


def told(year, changes, others=()):
    sizes = {each.prior_tracking_uid: each.long_axis_before_mm or 0 for each in changes}
    return EarlierSizes(
        study_date=date(year, 1, 1), long_axes_mm={**sizes, **dict.fromkeys(others, 20.0)}
    )


def arrivals():
    series = SimpleNamespace(
        series_instance_uid="1",
        missing_slices=3,
        slices=range(20),
        instances=range(20),
        attributes={"SeriesNumber": "4"},
    )
    whole = SimpleNamespace(**{**vars(series), "missing_slices": 0})
    yield from judge_completeness([series], {}, is_counted=False).limitations
    yield from judge_completeness([whole], {"1": 5}, is_counted=True).limitations
    yield str(judge_completeness([whole], {"1": 5}, is_counted=True))


def thicknesses():
    for attributes in ({}, {"SliceThickness": "5"}):
        yield from tell_thickness(
            SimpleNamespace(slices=[1], attributes=attributes, geometry=axes(shape=(1, 4, 4)))
        )


def case_of(chosen_by):
    """A case of two roles, whose first series holds two volumes."""
    roles = [SimpleNamespace(name=name) for name in ("T1", "T2")]
    part = Part(labels={"EchoTime": "80"}, number=2, of=2, chosen_by=chosen_by)
    bundle = SimpleNamespace(manifest=SimpleNamespace(roles=roles))
    return SimpleNamespace(
        toolbox=SimpleNamespace(bundle=bundle),
        series=SimpleNamespace(attributes={"SeriesNumber": "7"}, part=part),
        companions={"T2": SimpleNamespace(attributes={"SeriesNumber": "8"}, part=None)},
    )


AS_THEY_STAND = [
    "T2 covers 43% of the tissue in the first role's series",
    "no frame of reference: T2 is taken to lie where it says",
    (
        "no nodule at column 12, row 34, slice 5: mean of -800 HU within 3 mm, and no nodule "
        "within 7 mm (highest probability 0.12)"
    ),
    (
        "Lesions were not matched with the earlier ones: the images could not be registered: they "
        "share only 12% of the body, intensities correlate by 0.10 only, they would be turned by "
        "45 degrees."
    ),
    "Earlier images were registered rigidly: correlation 0.92 over 87% of the body.",
    "The place of earlier lesions is not within these images: Lesion 1, Lesion 3.",
]
"""Of code that needs images and networks before it says a word."""


SENTENCES = [
    RULE.assess(0.5, 1.0)[1],
    RULE.assess(0.9, 3.0)[1],
    *(doubling_time(*sizes)[1] for sizes in ((None, 1, 3), (1, 2, None), (1, 2, 0), (1, 1.1, 9))),
    *responses(),
    *arrivals(),
    *thicknesses(),
    *tell_parts(case_of("default")),
    *tell_roles(case_of("rule")),
    *AS_THEY_STAND,
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_nothing_stays_english(sentence: str) -> None:
    told = words_of("zh").retell(sentence)
    left = set(re.findall(r"[A-Za-z]{3,}", told)) - {"RECIST", "EchoTime"}
    assert not left, told
    digits = re.findall(r"\d+(?:\.\d+)?", sentence)
    assert sorted(re.findall(r"\d+(?:\.\d+)?", told)) == sorted(digits), told


def test_volumes_of_a_series_are_told() -> None:
    part = Part(labels={"EchoTime": "80"}, number=2, of=3, chosen_by="rule")
    told = words_of("zh").retell(f"series number 7: {part} (by {part.chosen_by})")
    assert told == "序列号 7：取序列中第 2 个容积（共 3 个）：EchoTime 80（按规则）"
