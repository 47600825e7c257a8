"""Rules that can never win are told, and no other."""

import fnmatch
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.assemble.select import sort_study
from node.assemble.validate import SOP_CLASSES
from node.config.document import Document
from node.config.load import load_settings
from node.config.reach import MODALITIES, check_reach
from node.config.settings import RoutingRule, SequenceMatch, SeriesMatch
from node.config.wildcards import Texts, covers, is_empty
from node.domain.study import InstanceRef, Series, Study

ROOT = Path(__file__).parents[3]
NOWHERE = Document(path=Path("routing.yaml"), value={})


def make_rules(*matches: dict, bundle: str = "b") -> list[RoutingRule]:
    return [
        RoutingRule(name=f"r{i}", match=SeriesMatch(**match), bundle=bundle, destinations=("d",))
        for i, match in enumerate(matches)
    ]


def told(rules: list[RoutingRule], *, roles: bool = False) -> list[tuple[str, str]]:
    """Return code and rule of each warning."""
    found = check_reach(rules, NOWHERE, lambda _bundle: roles)
    return [(p.code, p.found.split(":")[0].removeprefix("rule ")) for p in found]


def make_study(*, modality="MR", description="", body="", agent=False, ae="A") -> Study:
    attributes = {"SeriesDescription": description, "BodyPartExamined": body}
    if agent:
        attributes["ContrastBolusAgent"] = "Gadovist"
    instance = InstanceRef(
        sop_instance_uid="1.2.4",
        sop_class_uid=next(iter(SOP_CLASSES)),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=Path("x"),
        sha256="",
    )
    series = Series(
        series_instance_uid="1.2.3",
        study_instance_uid="1.2",
        modality=modality,
        instances=(instance,),
        attributes={key: value for key, value in attributes.items() if value},
    )
    return Study(study_instance_uid="1.2", series=(series,), calling_ae_title=ae)


MR = {"modality": ("MR",)}
UNREACHABLE = {
    "the same again": ([MR, MR], ["r1"]),
    "general before special": ([MR, MR | {"series_description": ("*t1*",)}], ["r1"]),
    "narrower pattern": (
        [{"series_description": ("*t1*",)}, {"series_description": ("*T1*ce*", "ax t1")}],
        ["r1"],
    ),
    "with and without agent, then either": (
        [MR | {"contrast_agent": True}, MR | {"contrast_agent": False}, MR],
        ["r2"],
    ),
    "CT and MR, then anything": ([{"modality": ("CT",)}, MR, {"body_part": ("HEAD",)}], ["r2"]),
    "excluded by both": (
        [
            MR | {"not_series_description": ("*pre*",)},
            {"modality": ("MR",), "not_series_description": ("*pre*", "*loc*")},
        ],
        ["r1"],
    ),
    "one sender of many": ([MR, MR | {"calling_ae": ("SCANNER1",)}], ["r1"]),
    "star is everything": ([MR | {"body_part": ("*",)}, MR], ["r1"]),
    "question marks": (
        [{"series_description": ("a??*",)}, {"series_description": ("abc",)}],
        ["r1"],
    ),
}


@pytest.mark.parametrize("case", UNREACHABLE)
def test_unreachable_rules_are_told(case):
    matches, expected = UNREACHABLE[case]
    assert told(make_rules(*matches)) == [("unreachable-rule", rule) for rule in expected]


REACHABLE = {
    "special before general": [MR | {"series_description": ("*t1*",)}, MR],
    "another modality": [{"modality": ("CT",)}, MR],
    "a missing value": [MR | {"body_part": ("HEAD",)}, MR | {"body_part": ("HEAD", "")}],
    "wider pattern": [{"series_description": ("*t1*ce*",)}, {"series_description": ("*t1*",)}],
    "excluded by the first only": [MR | {"not_series_description": ("*pre*",)}, MR],
    "another agent": [MR | {"contrast_agent": True}, MR],
    "a name that the pattern misses": [
        {"series_description": ("t1*",)},
        {"series_description": ("*t1",)},
    ],
    "too short": [{"series_description": ("a??*",)}, {"series_description": ("a*",)}],
}


@pytest.mark.parametrize("case", REACHABLE)
def test_no_false_alarm(case):
    assert told(make_rules(*REACHABLE[case])) == []


def test_a_rule_that_binds_roles_may_be_passed_over_and_hides_nothing():
    assert told(make_rules(MR, MR), roles=True) == []
    own = make_rules(MR, MR)
    own[0] = own[0].model_copy(update={"roles": {"t1": (SequenceMatch(description=("*t1*",)),)}})
    assert told(own) == []


@pytest.mark.parametrize(
    "match",
    [
        {"modality": ("PT", "SEG")},
        {"series_description": ("*t1*pre*",), "not_series_description": ("*pre*",)},
    ],
)
def test_impossible_conditions_are_told_once(match):
    assert told(make_rules(match, match)) == [
        ("rule-never-matches", "r0"),
        ("rule-never-matches", "r1"),
    ]


def test_only_modalities_that_are_analysed_are_reasoned_about():
    rules = make_rules({"body_part": ("*",)})
    for modality in ("CT", "MR", "PT", "NM", "US", "SR"):
        selections = sort_study(make_study(modality=modality), rules).selections
        assert bool(selections) == (modality in MODALITIES)


def test_shipped_rules_give_no_warning():
    shipped = load_settings(ROOT / "dicom_conf", environment={})
    assert told(list(shipped.routing)) == []


PATTERNS = st.lists(st.text("ab*?", min_size=1, max_size=3), max_size=2).map(tuple)
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "modality": st.sampled_from([("CT",), ("MR",), ("CT", "MR"), ("*",), ("PT",)]),
        "series_description": PATTERNS,
        "not_series_description": PATTERNS,
        "body_part": PATTERNS,
        "calling_ae": st.sampled_from([("A",), ("B", "A"), ("?",)]),
        "contrast_agent": st.sampled_from([True, False, None]),
    },
)
STUDIES = st.builds(
    make_study,
    modality=st.sampled_from(["CT", "MR"]),
    description=st.text("ab", max_size=4),
    body=st.text("ab", max_size=2),
    agent=st.booleans(),
    ae=st.sampled_from(["A", "B"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(MATCHES, min_size=2, max_size=4), st.lists(STUDIES, min_size=5, max_size=20))
def test_a_rule_that_is_told_never_wins(matches, studies):
    rules = make_rules(*matches)
    hopeless = {rule for _, rule in told(rules)}
    for study in studies:
        for selection in sort_study(study, rules).selections:
            assert selection.rule.name not in hopeless


ALL_TEXTS = ["", *(a + b + c for a in "ab" for b in ["", *"ab"] for c in ["", *"ab"])]


@settings(max_examples=120, deadline=None)
@given(PATTERNS, PATTERNS, PATTERNS, PATTERNS)
def test_covering_means_every_text(outer, outer_not, inner, inner_not):
    def texts(included, excluded):
        return {
            text
            for text in ALL_TEXTS
            if (not included or any(fnmatch.fnmatchcase(text, each) for each in included))
            and not any(fnmatch.fnmatchcase(text, each) for each in excluded)
        }

    inside = texts(inner, inner_not)
    is_covered = covers(
        Texts(included=outer, excluded=outer_not), Texts(included=inner, excluded=inner_not)
    )
    if is_covered:
        assert inside <= texts(outer, outer_not)
    if is_empty(Texts(included=inner, excluded=inner_not)):
        assert not inside
