"""Series are bound to roles by name, physics and contrast agent; what is open is told."""

from collections.abc import Mapping
from itertools import permutations

import pytest

from node.assemble.roles import bind_roles
from node.assemble.select import sort_study
from node.config.settings import PartChoice, RoutingRule, SequenceMatch, SeriesMatch
from node.domain.errors import InputRejected
from node.domain.study import InstanceRef, Series, Study
from node.registry.manifest import RoleEntry
from node.registry.sequences import SEQUENCES

ROLES = tuple(RoleEntry(name=name) for name in ("flair", "t1", "t1ce"))
T1 = {"ScanningSequence": "SE", "RepetitionTime": "550", "EchoTime": "12"}
MPRAGE = {
    "ScanningSequence": "GR\\IR",
    "RepetitionTime": "1900",
    "EchoTime": "2.5",
    "InversionTime": "900",
}
T1_FLAIR = {
    "ScanningSequence": "SE\\IR",
    "RepetitionTime": "2200",
    "EchoTime": "24",
    "InversionTime": "780",
}
FLAIR = {
    "ScanningSequence": "SE\\IR",
    "RepetitionTime": "9000",
    "EchoTime": "120",
    "InversionTime": "2500",
}
T2 = {"ScanningSequence": "SE", "RepetitionTime": "4000", "EchoTime": "100"}
PD = {"ScanningSequence": "SE", "RepetitionTime": "3000", "EchoTime": "15"}
TOF = {"ScanningSequence": "GR", "RepetitionTime": "24", "EchoTime": "4"}
SWI = {"ScanningSequence": "GR", "RepetitionTime": "28", "EchoTime": "20"}
STIR = {
    "ScanningSequence": "SE\\IR",
    "RepetitionTime": "5000",
    "EchoTime": "40",
    "InversionTime": "160",
}
AGENT = {"ContrastBolusAgent": "Gadovist"}
AXIAL, SAGITTAL = "1\\0\\0\\0\\1\\0", "0\\1\\0\\0\\0\\-1"


def series(
    uid: str,
    description: str = "",
    physics: Mapping[str, str] | None = None,
    *,
    orientation: str = AXIAL,
    frame: str = "1.9",
    slices: int = 3,
    **attributes: str,
) -> Series:
    texts = {
        "SeriesDescription": description,
        "FrameOfReferenceUID": frame,
        "ImageOrientationPatient": orientation,
        **(physics or {}),
        **attributes,
    }
    return Series(
        series_instance_uid=uid,
        study_instance_uid="1.2",
        modality="MR",
        instances=tuple(
            InstanceRef(
                sop_instance_uid=f"{uid}.{k}",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
                transfer_syntax_uid="",
                path=None,  # type: ignore[arg-type]  # never read
                sha256="",
            )
            for k in range(slices)
        ),
        attributes={keyword: text for keyword, text in texts.items() if text},
    )


def bind(*found: Series) -> dict[str, str]:
    bound = bind_roles(found, {role.name: role.alternatives for role in ROLES})
    return {role: player.series.series_instance_uid for role, player in bound.items()}


def refusal(*found: Series) -> dict[str, str]:
    with pytest.raises(InputRejected) as rejected:
        bind(*found)
    return {problem.tag: problem.code for problem in rejected.value.problems}


RIGHT = {"flair": "f", "t1": "p", "t1ce": "c"}


@pytest.mark.parametrize(
    ("flair", "before", "after"),
    [
        ("FLAIR", "T1", "T1 GD"),
        ("AX T2 FLAIR", "AX T1 PRE", "AX T1 POST"),
        ("Ax FLAIR FS", "Ax T1 W/O", "Ax T1 +C"),
        ("t2_flair_tra", "t1_se_tra", "t1_se_tra_gd"),
        ("t2_tirm_tra_dark-fluid", "t1_mpr_tra_nativ", "t1_mpr_tra_KM"),
        ("FLAIR tra", "T1 tra ohne KM", "T1 tra mit KM"),
        ("FLAIR tra", "T1 vor KM", "T1 nach KM"),
        ("FLAIR transversaal", "T1 zonder contrast", "T1 met contrast"),
        ("FLAIR", "T1 voor contrast", "T1 na gadolinium met contrast"),
        ("FLAIR AX", "T1 sans injection", "T1 gado"),
        ("FLAIR AX", "AX T1", "T1C+"),
        ("FLAIR", "pre-contrast T1", "post-contrast T1"),
        ("FLAIR", "T1-weighted pre", "T1CE"),
        ("FLAIR", "T1W", "T1Gd"),
        ("FLAIR", "t1n pre", "t1c"),
        ("横轴位 T2 压水", "横轴位 T1 平扫", "横轴位 T1 增强"),
        ("T2 FLAIR 轴位", "T1 轴位", "T1 轴位 C+"),
        ("AX T2 FLAIR", "AX T1 FLAIR", "AX T1 FLAIR +C"),
        ("AX FLAIR", "3D BRAVO PRE", "3D BRAVO POST GAD"),
        ("FLAIR", "SAG MPRAGE unenhanced", "SAG MPRAGE contrast enhanced"),
        ("FLAIR", "pre-contrast", "post-contrast"),
        ("FLAIR", "T1 before contrast", "T1 after contrast"),
        ("FLAIR", "T1 sin contraste", "T1 con contraste"),
        ("FLAIR", "T1-weighted", "T1-weighted Gd"),
        ("FLAIR posterior fossa", "T1 posterior fossa", "T1 post posterior fossa"),
    ],
)
def test_names_alone_tell(flair: str, before: str, after: str) -> None:
    assert bind(series("f", flair), series("p", before), series("c", after)) == RIGHT


def test_order_and_numbers_do_not_matter() -> None:
    found = [series("f", "FLAIR"), series("p", "T1"), series("c", "T1 POST")]
    for number, order in enumerate(permutations(found)):
        renumbered = [
            Series(**{**vars(item), "attributes": {**item.attributes, "SeriesNumber": str(n)}})
            for n, item in enumerate(order, start=number)
        ]
        assert bind(*renumbered) == RIGHT


@pytest.mark.parametrize("t1", [T1, MPRAGE, T1_FLAIR], ids=["spin echo", "mprage", "t1 flair"])
@pytest.mark.parametrize("name", ["", "HEAD 4", "脑"])
def test_physics_and_contrast_agent_tell(t1: dict[str, str], name: str) -> None:
    others = [series(str(n), name, p) for n, p in enumerate([T2, PD, TOF, SWI, STIR])]
    found = [series("f", name, FLAIR), series("p", name, t1), series("c", name, {**t1, **AGENT})]
    assert bind(*others, *found) == RIGHT


def test_the_contrast_agent_tells_two_series_of_one_name() -> None:
    found = [series("f", "FLAIR"), series("p", "AX T1"), series("c", "AX T1", AGENT)]
    assert bind(*found) == RIGHT


def test_a_name_is_believed_before_a_header_that_was_set_for_the_whole_study() -> None:
    found = [series("f", "FLAIR", AGENT), series("p", "T1 PRE", AGENT), series("c", "T1", AGENT)]
    assert bind(*found) == RIGHT


def test_the_protocol_stands_in_for_a_missing_description() -> None:
    found = [series("f", ProtocolName="FLAIR"), series("p", "T1"), series("c", "T1 GD")]
    assert bind(*found) == RIGHT


def test_one_plane_is_preferred() -> None:
    found = [
        series("f", "FLAIR"),
        series("p", "T1", orientation=AXIAL),
        series("p2", "T1", orientation=SAGITTAL),
        series("c", "T1 POST"),
        series("c2", "T1 POST", orientation=SAGITTAL),
    ]
    assert bind(*found) == RIGHT


def test_one_frame_of_reference_is_preferred() -> None:
    found = [
        series("f", "FLAIR"),
        series("p", "T1"),
        series("p2", "T1", frame="1.8"),
        series("c", "T1 POST"),
    ]
    assert bind(*found) == RIGHT
    assert bind(*found[:2], series("c", "T1 POST", frame="")) == RIGHT  # none contradicts none


def test_equally_many_slices_are_preferred() -> None:
    found = [series("f", "FLAIR"), series("p", "T1"), series("c", "T1 POST")]
    assert bind(*found, series("c2", "T1 POST", slices=2)) == RIGHT


def test_several_frames_of_reference_are_refused() -> None:
    found = [series("f", "FLAIR", frame="1.7"), series("p", "T1"), series("c", "T1 POST")]
    assert set(refusal(*found).values()) == {"role-in-another-frame"}


def test_a_missing_role_is_told_beside_those_that_were_found() -> None:
    told = refusal(series("p", "T1"), series("c", "T1 POST"), series("x", "T2", T2))
    assert told == {"flair": "role-missing", "t1": "role-found", "t1ce": "role-found"}


def test_two_that_fit_equally_are_refused() -> None:
    found = [series("f", "FLAIR"), series("p", "T1"), series("c", "T1 POST")]
    told = refusal(*found, series("c2", "T1 POST FS"))
    assert told == {"flair": "role-found", "t1": "role-found", "t1ce": "role-ambiguous"}


def test_two_plain_t1_without_agent_are_not_guessed_at() -> None:
    told = refusal(series("f", "FLAIR"), series("p", "T1"), series("c", "T1"))
    assert (told["t1"], told["t1ce"]) == ("role-ambiguous", "role-missing")


@pytest.mark.parametrize("name", ["T1 POST SUBTRACTION", "T1 PRE/POST", "T1 W/WO GD"])
def test_subtractions_and_double_names_are_no_t1(name: str) -> None:
    found = [series("f", "FLAIR"), series("p", "T1"), series("c", "T1 POST")]
    assert bind(*found, series("x", name, AGENT)) == RIGHT


def test_one_series_never_plays_two_roles() -> None:
    anything = (SequenceMatch(description=("*t1*",)),)
    with pytest.raises(InputRejected) as rejected:
        bind_roles([series("p", "T1")], {"a": anything, "b": anything})
    assert {problem.code for problem in rejected.value.problems} == {"role-ambiguous"}


def phase(position: int | None) -> tuple[SequenceMatch, ...]:
    part = None if position is None else PartChoice(temporal_position=position)
    return (SequenceMatch(description=("*t1*",), part=part),)


def test_one_series_plays_two_roles_where_each_names_its_part() -> None:
    bound = bind_roles([series("p", "T1 DCE")], {"before": phase(1), "after": phase(2)})
    assert {role: player.series.series_instance_uid for role, player in bound.items()} == {
        "before": "p",
        "after": "p",
    }
    assert [player.part.temporal_position for player in bound.values() if player.part] == [1, 2]


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, None), (None, None)])
def test_a_part_that_is_not_named_in_both_roles_is_no_other_part(first, second) -> None:
    with pytest.raises(InputRejected) as rejected:
        bind_roles([series("p", "T1 DCE")], {"before": phase(first), "after": phase(second)})
    assert {problem.code for problem in rejected.value.problems} == {"role-ambiguous"}


def test_a_rule_whose_roles_are_not_there_leaves_the_study_to_the_next() -> None:
    rules = [
        RoutingRule(
            name=bundle, match=SeriesMatch(modality=("MR",)), bundle=bundle, destinations=("d",)
        )
        for bundle in ("three", "one")
    ]
    roles = {"three": ROLES, "one": ()}
    whole = Study(
        study_instance_uid="1.2",
        series=(series("c", "T1 POST"), series("f", "FLAIR"), series("p", "T1"), series("x", "T2")),
    )
    (selection,) = sort_study(whole, rules, roles.__getitem__).selections
    assert selection.rule.name == "three"
    assert [item.series_instance_uid for item in selection.all_series] == ["f", "p", "c"]
    assert list(selection.companions) == ["t1", "t1ce"]
    left_out = sort_study(whole, rules, roles.__getitem__).left_out
    assert [(problem.uid, problem.code) for problem in left_out] == [("x", "no-role")]
    alone = Study(study_instance_uid="1.2", series=(series("c", "T1 POST"),))
    sorted_alone = sort_study(alone, rules, roles.__getitem__)
    assert sorted_alone.selections[0].rule.name == "one"
    assert {problem.code for problem in sorted_alone.left_out} == {"role-missing", "role-found"}


def test_a_site_names_its_own_sequences() -> None:
    own = {"flair": (SequenceMatch(description=("seq a",), echo_time_ms=(80, 200)),)}
    rule = RoutingRule(
        name="r", match=SeriesMatch(modality=("MR",)), bundle="b", destinations=("d",), roles=own
    )
    found = (series("f", "SEQ_A", {"EchoTime": "90"}), series("p", "T1"), series("c", "T1 POST"))
    study = Study(study_instance_uid="1.2", series=(*found, series("x", "FLAIR")))
    (selection,) = sort_study(study, [rule], lambda _: ROLES).selections
    assert [item.series_instance_uid for item in selection.all_series] == ["f", "p", "c"]


def test_every_known_sequence_has_alternatives_that_ask_for_something() -> None:
    for role, alternatives in SEQUENCES.items():
        assert alternatives, role
        for match in alternatives:
            assert match.model_dump(exclude_defaults=True, exclude={"not_description"}), role
