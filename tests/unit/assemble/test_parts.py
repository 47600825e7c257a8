"""A series of several volumes is split by what tells them apart; the rule says which is taken."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from node.assemble.parts import find_part, take_part
from node.assemble.planes import Plane
from node.config.settings import PartChoice

PLACES = 4
ORIENTATION = np.array([[1.0, 0, 0], [0, 1, 0]])
CORONAL = np.array([[1.0, 0, 0], [0, 0, -1]])
ANY = PartChoice()


def plane(k: int, *, number: int = 0, orientation: np.ndarray = ORIENTATION, **told: str) -> Plane:
    normal = np.cross(*orientation)
    return Plane(
        source_uid=f"1.{number}.{k}",
        frame=1,
        position_mm=normal * 5.0 * k,
        orientation=orientation,
        spacing_mm=np.array([1.0, 1.0]),
        thickness_mm=5.0,
        matrix=(8, 8),
        splitting=told,
    )


def volumes(*headers: dict[str, str], places: int = PLACES) -> list[Plane]:
    return [
        plane(k, number=number, **told)
        for (number, told), k in product(enumerate(headers), range(places))
    ]


def taken(planes: list[Plane], choice: PartChoice = ANY) -> dict[str, str]:
    result = take_part(planes, choice, series_uid="1.2")
    assert not result.problems
    assert result.part is not None
    assert len({tuple(p.position_mm) for p in result.planes}) == len(result.planes)
    assert find_part(planes, result.part) == [*result.planes] or [
        p.source_uid for p in find_part(planes, result.part)
    ] == [p.source_uid for p in result.planes]
    return dict(result.part.labels)


def code_of(planes: list[Plane], choice: PartChoice = ANY) -> str:
    (problem,) = take_part(planes, choice, series_uid="1.2").problems
    return problem.code


def tagged(keyword: str, *values: str) -> list[Plane]:
    return volumes(*({keyword: value} for value in values))


@pytest.mark.parametrize(
    ("keyword", "values", "default"),
    [
        ("EchoTime", ["90", "9.5"], "9.5"),
        ("DiffusionBValue", ["0", "1000", "50"], "0"),
        ("TemporalPositionIdentifier", ["1", "10", "9"], "10"),
        ("TriggerTime", ["0", "40", "80"], "0"),
        ("InversionTime", ["700", "2500"], "2500"),
        ("AcquisitionNumber", ["1", "2"], "2"),
        (
            "ImageType",
            ["ORIGINAL\\PRIMARY\\M\\ND", "ORIGINAL\\PRIMARY\\P\\ND", "DERIVED\\PRIMARY\\M\\SUB"],
            "ORIGINAL\\PRIMARY\\M\\ND",
        ),
    ],
)
def test_default_of_each_kind(keyword: str, values: list[str], default: str) -> None:
    assert taken(tagged(keyword, *values)) == {keyword: default}


@pytest.mark.parametrize(
    ("keyword", "values", "choice", "expected"),
    [
        ("EchoTime", ["9.5", "90"], {"echo_time_ms": "last"}, "90"),
        ("EchoTime", ["9.5", "90"], {"echo_time_ms": 90}, "90"),
        ("DiffusionBValue", ["0", "50", "1000"], {"b_value": 50}, "50"),
        ("DiffusionBValue", ["0", "50", "1000"], {"b_value": "last"}, "1000"),
        ("TemporalPositionIdentifier", ["1", "2", "3"], {"temporal_position": "first"}, "1"),
        ("TemporalPositionIdentifier", ["1", "2", "3"], {"temporal_position": 2}, "2"),
        ("TriggerTime", ["0", "40"], {"trigger_time_ms": 40}, "40"),
        ("InversionTime", ["700", "2500"], {"inversion_time_ms": 700}, "700"),
        ("AcquisitionNumber", ["3", "4"], {"acquisition": 3}, "3"),
        ("AcquisitionNumber", ["3", "4"], {"temporal_position": "first"}, "3"),
        ("ImageType", ["A\\B\\W", "A\\B\\F"], {"image_type": "*\\F"}, "A\\B\\F"),
    ],
)
def test_a_rule_says_which(
    keyword: str, values: list[str], choice: dict[str, object], expected: str
) -> None:
    planes = tagged(keyword, *values)
    assert taken(planes, PartChoice(**choice)) == {keyword: expected}
    part = take_part(planes, PartChoice(**choice), series_uid="1.2").part
    assert part is not None
    assert (part.of, part.chosen_by) == (len(values), "rule")


def test_one_volume_is_left_as_it_is() -> None:
    planes = volumes({"EchoTime": "10"})
    result = take_part(planes, ANY, series_uid="1.2")
    assert (list(result.planes), result.part, result.problems) == (planes, None, ())


def test_values_that_differ_from_slice_to_slice_split_nothing() -> None:
    """Phases with a number, though every slice has an acquisition of its own."""
    planes = [
        plane(
            k, number=phase, TemporalPositionIdentifier=str(phase), AcquisitionNumber=f"{phase}{k}"
        )
        for phase in (1, 2)
        for k in range(PLACES)
    ]
    assert taken(planes) == {"TemporalPositionIdentifier": "2"}


def test_attributes_that_change_together_count_as_one() -> None:
    planes = volumes(
        {"TemporalPositionIdentifier": "1", "AcquisitionNumber": "4"},
        {"TemporalPositionIdentifier": "2", "AcquisitionNumber": "7"},
    )
    assert taken(planes) == {"TemporalPositionIdentifier": "2"}
    assert taken(planes, PartChoice(acquisition=4)) == {"AcquisitionNumber": "4"}


def test_two_attributes_together() -> None:
    planes = volumes(
        *({"EchoTime": e, "TemporalPositionIdentifier": t} for e in ("5", "9") for t in ("1", "2"))
    )
    assert taken(planes) == {"EchoTime": "5", "TemporalPositionIdentifier": "2"}
    chosen = taken(planes, PartChoice(echo_time_ms=9, temporal_position="first"))
    assert chosen == {"EchoTime": "9", "TemporalPositionIdentifier": "1"}


def test_directions_of_diffusion() -> None:
    planes = volumes(
        {"DiffusionBValue": "0"},
        *(
            {"DiffusionBValue": "800", "DiffusionGradientOrientation": direction}
            for direction in ("1\\0\\0", "0\\1\\0")
        ),
    )
    assert taken(planes)["DiffusionBValue"] == "0"
    assert code_of(planes, PartChoice(b_value=800)) == "ambiguous-part"


@pytest.mark.parametrize(
    ("keyword", "place"), [("TriggerTime", 0), ("AcquisitionTime", PLACES - 1)]
)
def test_times_that_drift_from_slice_to_slice_tell_phases_by_their_order(
    keyword: str, place: int
) -> None:
    planes = [
        plane(k, number=phase, **{keyword: str(100 + 40 * phase + 7 * k)})
        for phase in range(3)
        for k in range(PLACES)
    ]
    wanted = {"TriggerTime": "1", "AcquisitionTime": "3"}[keyword]
    assert taken(planes) == {f"{keyword}Rank": wanted}


def test_an_interrupted_last_phase_is_passed_over_unless_the_rule_names_it() -> None:
    planes = tagged("TemporalPositionIdentifier", "1", "2", "3")[:-1]
    assert taken(planes) == {"TemporalPositionIdentifier": "2"}
    named = take_part(planes, PartChoice(temporal_position=3), series_uid="1.2")
    assert len(named.planes) == PLACES - 1


def test_two_scans_that_overlap_by_a_slice_are_no_phases() -> None:
    """Chest and abdomen in one series: to take one would lose the other without a word."""
    chest = [plane(k, number=1, AcquisitionNumber="1") for k in range(4)]
    abdomen = [plane(k, number=2, AcquisitionNumber="2") for k in range(3, 8)]
    assert code_of(chest + abdomen) == "incomplete-parts"


def test_one_slice_that_was_taken_again() -> None:
    planes = [*tagged("AcquisitionNumber", "1"), plane(2, number=9, AcquisitionNumber="2")]
    assert taken(planes) == {"AcquisitionNumber": "1"}


@pytest.mark.parametrize(
    ("planes", "choice", "code"),
    [
        (tagged("ImageType", "A\\B\\W", "A\\B\\F"), {}, "ambiguous-part"),
        (tagged("EchoTime", "5", "9"), {"echo_time_ms": 7}, "part-not-found"),
        (tagged("EchoTime", "5", "9"), {"temporal_position": 2}, "part-not-found"),
        (tagged("EchoTime", "5"), {"echo_time_ms": 9}, "part-not-found"),
    ],
)
def test_what_neither_rule_nor_default_decides_is_refused(
    planes: list[Plane], choice: dict[str, object], code: str
) -> None:
    assert code_of(planes, PartChoice(**choice)) == code


def test_doubled_slices_that_nothing_tells_apart_are_left_to_the_checks_of_the_stack() -> None:
    planes = volumes({"EchoTime": "5"}, {"EchoTime": "5"})
    result = take_part(planes, ANY, series_uid="1.2")
    assert (len(result.planes), result.part, result.problems) == (2 * PLACES, None, ())


def test_stacks_of_several_orientations() -> None:
    survey = [plane(k, StackID="1") for k in range(4)]
    coronal = [plane(k, orientation=CORONAL, StackID="2") for k in range(3)]
    assert taken(survey + coronal) == {"StackID": "1"}
    assert taken(survey + coronal, PartChoice(stack="2")) == {"StackID": "2"}
    assert code_of(survey[:3] + coronal) == "ambiguous-part"
    assert code_of(survey + coronal, PartChoice(stack="7")) == "part-not-found"


def test_phases_within_the_chosen_stack() -> None:
    def phases(make: Callable[..., Plane], **more: object) -> list[Plane]:
        return [
            make(k, number=t, TemporalPositionIdentifier=str(t), **more)
            for t in (1, 2)
            for k in range(3)
        ]

    planes = phases(plane, StackID="1") + phases(plane, StackID="2", orientation=CORONAL)[:3]
    assert taken(planes) == {"StackID": "1", "TemporalPositionIdentifier": "2"}


def test_the_refusal_tells_what_there_is() -> None:
    planes = tagged("ImageType", "A\\B\\W", "A\\B\\F")
    (problem,) = take_part(planes, ANY, series_uid="1.2").problems
    assert problem.found == "2 volumes by ImageType: A\\B\\F (4 images); A\\B\\W (4 images)"
    assert "'part' of the rule" in problem.remedy
