"""Rules choose one series, and every other one gets a reason."""

from pathlib import Path

import pytest

from node.assemble.own import is_own
from node.assemble.select import select_series, sort_study
from node.config.settings import RoutingRule, SeriesMatch
from node.domain.study import InstanceRef, Series, Study

MR = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def make_series(uid="1.1", *, modality="MR", slices=20, sop_class_uid=MR, **attributes):
    instances = tuple(
        InstanceRef(
            sop_instance_uid=f"{uid}.{k}",
            sop_class_uid=sop_class_uid,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=Path(f"{k}.dcm"),
            sha256="0" * 64,
        )
        for k in range(slices)
    )
    attributes = {"ImageType": "ORIGINAL\\PRIMARY\\OTHER", **attributes}
    return Series(
        series_instance_uid=uid,
        study_instance_uid="1",
        modality=modality,
        instances=instances,
        attributes=attributes,
    )


def make_study(*series, calling_ae_title="MR1"):
    return Study(study_instance_uid="1", series=series, calling_ae_title=calling_ae_title)


def make_rule(name="brain", **match):
    return RoutingRule(
        name=name, match=SeriesMatch(**match), bundle="brain-t1ce", destinations=("pacs",)
    )


def chosen(study, *rules):
    return [
        (selection.rule.name, selection.series.series_instance_uid)
        for selection in select_series(study, rules)
    ]


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        ({}, True),
        ({"modality": ("CT",)}, False),
        ({"modality": ("CT", "mr")}, True),
        ({"body_part": ("HEAD", "BRAIN")}, True),
        ({"body_part": ("CHEST",)}, False),
        ({"series_description": ("*t1*gad*",)}, True),
        ({"series_description": ("T1 P?ST*",)}, True),
        ({"series_description": ("T1",)}, False),
        ({"series_description": ("*[cor]*",)}, True),
        ({"series_description": ("*[abc]*",)}, False),
        ({"not_series_description": ("*flair*",)}, True),
        ({"not_series_description": ("*GAD*",)}, False),
        ({"calling_ae": ("mr*",)}, True),
        ({"calling_ae": ("CT*",)}, False),
        ({"contrast_agent": True}, True),
        ({"contrast_agent": False}, False),
        ({"modality": ("MR",), "body_part": ("CHEST",)}, False),
    ],
)
def test_rule_matches_by_every_key_it_has(match, matches):
    series = make_series(
        BodyPartExamined="BRAIN",
        SeriesDescription="T1 POST GAD [cor]",
        ContrastBolusAgent="Gadovist",
    )
    assert chosen(make_study(series), make_rule(**match)) == [("brain", "1.1")] * matches


@pytest.mark.parametrize("agent", [{}, {"ContrastBolusAgent": "NONE"}, {"ContrastBolusAgent": " "}])
def test_absent_contrast_agent_is_no_contrast(agent):
    study = make_study(make_series(**agent))
    assert chosen(study, make_rule(contrast_agent=True)) == []
    assert chosen(study, make_rule(contrast_agent=False)) == [("brain", "1.1")]


@pytest.mark.parametrize(
    ("series", "code"),
    [
        (make_series(ImageType="ORIGINAL\\PRIMARY\\LOCALIZER"), "localizer"),
        (make_series(ImageType="DERIVED\\SECONDARY\\SCREEN SAVE"), "derived-secondary"),
        (make_series(sop_class_uid=SECONDARY_CAPTURE), "not-an-image"),
        (make_series(modality="SEG"), "other-modality"),
        (make_series(modality="PT"), "other-modality"),
        (make_series(Manufacturer="OncoNode project"), "own-result"),
        (make_series(ManufacturerModelName="ONCONODE"), "own-result"),
        (make_series(ContributingEquipmentSequence="Maker\\OncoNode\\2.25.7"), "own-result"),
    ],
)
def test_unfit_series_are_never_chosen(series, code):
    sorted_study = sort_study(make_study(series), [make_rule()])
    assert sorted_study.selections == ()
    assert [(problem.code, problem.uid) for problem in sorted_study.left_out] == [(code, "1.1")]


def test_first_rule_that_matches_anything_wins():
    study = make_study(make_series("1.1", modality="CT"), make_series("1.2", modality="MR"))
    rules = [make_rule("mr", modality=("MR",)), make_rule("ct", modality=("CT",))]
    assert chosen(study, *rules) == [("mr", "1.2")]
    assert chosen(study, *reversed(rules)) == [("ct", "1.1")]


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        (make_series("1.1", slices=20), make_series("1.2", slices=21)),
        (make_series("1.1", slices=20), make_series("1.2", slices=1, NumberOfFrames="60")),
        (make_series("1.1", SliceThickness="5"), make_series("1.2", SliceThickness="1.2")),
        (make_series("1.1", SliceThickness="thick"), make_series("1.2", SliceThickness="9")),
        (make_series("1.1", SeriesNumber="10"), make_series("1.2", SeriesNumber="9")),
        (make_series("1.2"), make_series("1.1")),
    ],
)
def test_of_several_the_best_covered_is_chosen(worse, better):
    for study in (make_study(worse, better), make_study(better, worse)):
        sorted_study = sort_study(study, [make_rule()])
        assert [s.series for s in sorted_study.selections] == [better]
        (reason,) = sorted_study.left_out
        assert (reason.code, reason.uid) == ("other-series-preferred", worse.series_instance_uid)


def test_study_without_a_match_tells_why_rule_by_rule():
    study = make_study(make_series("1.1", BodyPartExamined="KNEE"), make_series("1.2"))
    rules = [make_rule("ct", modality=("CT",)), make_rule("brain", body_part=("BRAIN",))]
    sorted_study = sort_study(study, rules)
    assert sorted_study.selections == ()
    assert {problem.uid for problem in sorted_study.left_out} == {"1.1", "1.2"}
    for problem in sorted_study.left_out:
        assert problem.code == "no-rule"
        assert problem.found == "ct fails on modality; brain fails on body_part"


def test_every_series_is_chosen_or_gets_a_reason():
    study = make_study(
        make_series("1.1"),
        make_series("1.2"),
        make_series("1.3", modality="SR"),
        make_series("1.4", modality="CT"),
    )
    sorted_study = sort_study(study, [make_rule(modality=("MR",))])
    told = [problem.uid for problem in sorted_study.left_out]
    assert sorted([*told, "1.1"]) == ["1.1", "1.2", "1.3", "1.4"]
    assert [s.series.series_instance_uid for s in sorted_study.selections] == ["1.1"]


@pytest.mark.parametrize(
    ("attributes", "own"),
    [
        ({"Manufacturer": "Maker"}, False),
        ({"ContributingEquipmentSequence": "Maker\\Scanner\\2.25.8"}, False),
        ({"ContributingEquipmentSequence": "\\2.25.7"}, True),
        ({"DeviceUID": "2.25.7"}, True),
    ],
)
def test_results_without_names_are_known_by_the_device(attributes, own):
    assert is_own(make_series(**attributes), frozenset({"2.25.7"})) is own
