"""Which volume of a series that holds several: an echo, a b-value, a phase of contrast agent ...

Conventions
-----------
* A series holds several volumes where several of its images lie at one position.
* They are told apart by the fewest attributes of ``SPLITTING`` that leave one image at every
  position of each volume. Times of acquisition that differ from slice to slice tell volumes apart
  by their order at each position (``TriggerTimeRank``, ``AcquisitionTimeRank``).
* A volume is complete when it has an image at every position of the series. Only such a one is
  taken by default, so that an interrupted last phase is passed over.
* What is not said by the rule is chosen by ``DEFAULTS``. What neither decides is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from node.assemble.planes import SPLITTING, Plane
from node.assemble.stack import SAME_POSITION_MM
from node.assemble.uniformity import ORIENTATION, kinds_of
from node.config.settings import PartChoice
from node.domain.errors import Problem
from node.domain.study import Part

MOST_ATTRIBUTES = 3
"""So many attributes together may tell volumes apart, e.g. b-value, direction and repetition."""

KEYWORDS: Mapping[str, str] = MappingProxyType(
    {
        "stack": "StackID",
        "image_type": "ImageType",
        "echo_time_ms": "EchoTime",
        "b_value": "DiffusionBValue",
        "temporal_position": "TemporalPositionIdentifier",
        "trigger_time_ms": "TriggerTime",
        "inversion_time_ms": "InversionTime",
        "acquisition": "AcquisitionNumber",
    }
)
"""Key of ``part`` in a rule -> attribute."""

DEFAULTS: Mapping[str, str] = MappingProxyType(
    {
        "EchoTime": "first",
        "DiffusionBValue": "first",
        "TemporalPositionIdentifier": "last",
        "TriggerTime": "first",
        "TriggerTimeRank": "first",
        "InversionTime": "last",
        "AcquisitionNumber": "last",
        "AcquisitionTime": "last",
        "AcquisitionTimeRank": "last",
    }
)
"""Attribute -> which value is taken where the rule does not say."""

DIRECTION = "DiffusionGradientOrientation"
RANKED = ("TriggerTime", "AcquisitionTime")
_REPEATED = ("TemporalPositionIdentifier", "AcquisitionNumber", "AcquisitionTime")
"""Attributes by which scanners count repetitions; ``temporal_position`` means any of them."""
_NO_MAGNITUDE = frozenset({"P", "PHASE", "R", "REAL", "I", "IMAGINARY", "PHASE MAP", "MIXED"})

Group = tuple[tuple[str, ...], list[Plane]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Result of ``take_part``.

    Parameters
    ----------
    planes : sequence of Plane
        Of the volume that was taken; all of the series where it holds one, or with problems.
    part : Part or None
        None where the series holds one volume.
    problems : tuple of Problem
    """

    planes: Sequence[Plane]
    part: Part | None = None
    problems: tuple[Problem, ...] = ()


def take_part(planes: Sequence[Plane], choice: PartChoice, *, series_uid: str) -> Taken:
    """Choose one volume of a series.

    Parameters
    ----------
    planes : sequence of Plane
        All of the series. Those without a place are left to other checks.
    choice : PartChoice
        What the rule says.
    series_uid : str
    """
    wishes = _wishes(choice)
    stacked = _one_stack(planes, wishes, series_uid)
    if stacked.problems:
        return stacked
    planes = _with_ranks(stacked.planes)
    places = _places(planes)
    if len(set(places.tolist())) == len(places):
        return _as_it_is(stacked, wishes, series_uid)
    keywords = _telling(planes, places, wishes)
    if not keywords:
        return replace(stacked, planes=planes)  # the checks of the stack tell of the doubled ones
    others = {name: wish for name, wish in wishes.items() if name not in keywords}
    met = _as_it_is(Taken(planes=planes), others, series_uid)
    if met.problems:
        return met
    groups = _group(planes, keywords)
    chosen, problem = _choose(groups, keywords, wishes, _complete(groups, places))
    if problem:
        told = _tell(groups, keywords)
        return Taken(planes=planes, problems=(_refuse(problem, told, series_uid),))
    labels = dict(zip(keywords, chosen[0], strict=True))
    part = Part(
        labels={**(stacked.part.labels if stacked.part else {}), **labels},
        number=1 + [values for values, _ in groups].index(chosen[0]),
        of=len(groups),
        chosen_by="rule" if any(keyword in wishes for keyword in _meant(keywords)) else "default",
    )
    return Taken(planes=chosen[1], part=part)


def find_part(planes: Sequence[Plane], part: Part) -> Sequence[Plane]:
    """Find the planes of a volume that was chosen before."""
    ranked = planes
    if "StackID" in part.labels:
        ranked = [p for p in planes if p.splitting.get("StackID", "") == part.labels["StackID"]]
    ranked = _with_ranks(ranked)
    return [
        plane
        for plane in ranked
        if all(plane.splitting.get(name, "") == value for name, value in part.labels.items())
    ]


def _wishes(choice: PartChoice) -> dict[str, str | float]:
    return {KEYWORDS[key]: value for key, value in choice if value is not None}


def _one_stack(planes: Sequence[Plane], wishes: Mapping[str, object], series_uid: str) -> Taken:
    """Choose among stacks of several orientations, as a survey in one Enhanced object has them."""
    whole = [plane for plane in planes if plane.orientation is not None]
    stacks = _group(whole, ("StackID",))
    wish = wishes.get("StackID")
    if wish is not None:
        chosen = [group for group in stacks if group[0][0] == str(wish)]
        if not chosen:
            told = _tell(stacks, ("StackID",))
            return Taken(planes=planes, problems=(_refuse("part-not-found", told, series_uid),))
    elif len(stacks) > 1 and len(kinds_of(whole, ORIENTATION)) > 1:
        most = max(len(members) for _, members in stacks)
        chosen = [group for group in stacks if len(group[1]) == most]
        if len(chosen) > 1:
            told = _tell(stacks, ("StackID",))
            return Taken(planes=planes, problems=(_refuse("ambiguous-part", told, series_uid),))
    else:
        return Taken(planes=planes)
    if len(stacks) == 1:
        return Taken(planes=planes)
    ((value,), members) = chosen[0]
    number = 1 + [values for values, _ in stacks].index((value,))
    by = "default" if wish is None else "rule"
    part = Part(labels={"StackID": value}, number=number, of=len(stacks), chosen_by=by)
    return Taken(planes=members, part=part)


def _as_it_is(stacked: Taken, wishes: Mapping[str, str | float], series_uid: str) -> Taken:
    """One volume: a rule that names a value must be met all the same."""
    for keyword, wish in wishes.items():
        if keyword == "StackID" or wish in ("first", "last"):
            continue
        values = {plane.splitting.get(keyword, "") for plane in stacked.planes}
        if not all(_is(value, wish) for value in values):
            found = " and ".join(sorted(value or "none" for value in values)[:5])
            problem = _refuse("part-not-found", f"{keyword} {found} in all of it", series_uid)
            return replace(stacked, problems=(problem,))
    return stacked


def _with_ranks(planes: Sequence[Plane]) -> list[Plane]:
    """Add the order of times at each position, where every position has as many images."""
    planes = list(planes)
    places = _places(planes)
    counts = np.bincount(places) if len(places) else np.array([0])
    if len(set(counts.tolist())) != 1 or counts[0] < 2:
        return planes
    for keyword in RANKED:
        times = [_number(plane.splitting.get(keyword, "")) for plane in planes]
        pairs = {(int(place), time) for place, time in zip(places, times, strict=True)}
        if None in times or len(pairs) < len(planes):
            continue
        order = sorted(range(len(planes)), key=lambda k: (places[k], times[k]))
        for position, k in enumerate(order):
            rank = str(position % int(counts[0]) + 1)
            splitting = {**planes[k].splitting, f"{keyword}Rank": rank}
            planes[k] = replace(planes[k], splitting=splitting)
    return planes


def _places(planes: Sequence[Plane]) -> NDArray[np.int64]:
    """Number of the position of each plane, along the normal; planes without one have their own."""
    places = np.arange(len(planes)) + len(planes)
    placed = [p for p in planes if p.position_mm is not None and p.orientation is not None]
    kinds = kinds_of(placed, ORIENTATION)
    if not kinds:
        return places
    index_of = {id(plane): k for k, plane in enumerate(planes)}
    whole = [index_of[id(plane)] for plane in kinds[0]]
    row, column = np.mean([p.orientation for p in kinds[0] if p.orientation is not None], axis=0)
    heights = np.array([p.position_mm for p in kinds[0]]) @ np.cross(row, column)
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order]) > SAME_POSITION_MM
    numbers = np.concatenate([[0], np.cumsum(steps)])
    places[np.array(whole)[order]] = numbers
    return places


def _telling(
    planes: Sequence[Plane], places: NDArray[np.int64], wishes: Mapping[str, object]
) -> tuple[str, ...]:
    """The fewest attributes that tell the volumes apart; empty if none do."""
    names = [*SPLITTING, *(f"{keyword}Rank" for keyword in RANKED)]
    varying = [name for name in names if len({plane.splitting.get(name) for plane in planes}) > 1]
    wished = tuple(name for name in varying if name in wishes)
    others = [name for name in varying if name not in wishes]
    place_of = {id(plane): int(place) for plane, place in zip(planes, places, strict=True)}
    separating: tuple[str, ...] = ()
    for count in range(MOST_ATTRIBUTES + 1):
        for more in combinations(others, count):
            chosen = (*wished, *more)
            if DIRECTION in chosen and "DiffusionBValue" in {*varying} - {*chosen}:
                continue  # a direction says little without its b-value
            groups = _group(planes, chosen) if chosen else []
            found = [[place_of[id(plane)] for plane in members] for _, members in groups]
            if not groups or any(len(set(numbers)) < len(numbers) for numbers in found):
                continue
            if any(len(numbers) == len(set(places.tolist())) for numbers in found):
                return chosen
            separating = separating or chosen
    return separating


def _group(planes: Sequence[Plane], keywords: Sequence[str]) -> list[Group]:
    """Planes by their values, lowest values first."""
    groups: dict[tuple[str, ...], list[Plane]] = {}
    for plane in planes:
        values = tuple(plane.splitting.get(keyword, "") for keyword in keywords)
        groups.setdefault(values, []).append(plane)
    return sorted(groups.items(), key=lambda item: [_order(value) for value in item[0]])


def _complete(groups: Sequence[Group], places: NDArray[np.int64]) -> list[Group]:
    wanted = len(set(places.tolist()))
    return [group for group in groups if len(group[1]) == wanted]


def _choose(
    groups: Sequence[Group],
    keywords: Sequence[str],
    wishes: Mapping[str, str | float],
    complete: Sequence[Group],
) -> tuple[Group, str]:
    """The one group that rule and defaults leave, or the code of what is wrong."""
    exact = [
        (index, wishes[keyword])
        for index, keyword in enumerate(keywords)
        if wishes.get(keyword) not in (None, "first", "last")
    ]
    named = [g for g in groups if all(_is(g[0][index], wish) for index, wish in exact)]
    if not named:
        return groups[0], "part-not-found"
    left = [group for group in named if group in complete] or (named if len(named) == 1 else [])
    if not left:
        return groups[0], "incomplete-parts"
    for index, keyword in enumerate(keywords):
        if len({group[0][index] for group in left}) == 1:
            continue
        if keyword == "ImageType":
            left = [group for group in left if _is_magnitude(group[0][index])] or left
            continue
        end = _end(keyword, wishes)
        if not end:
            continue
        best = (min if end == "first" else max)((group[0][index] for group in left), key=_order)
        left = [group for group in left if group[0][index] == best]
    return left[0], "" if len(left) == 1 else "ambiguous-part"


def _end(keyword: str, wishes: Mapping[str, str | float]) -> str:
    attribute = keyword.removesuffix("Rank")
    wish = wishes.get(attribute)
    if wish is None and attribute in _REPEATED:
        wish = wishes.get("TemporalPositionIdentifier")
    return str(wish) if wish in ("first", "last") else DEFAULTS.get(keyword, "")


def _meant(keywords: Sequence[str]) -> list[str]:
    """Attributes whose wishes bear on a choice by these."""
    attributes = [keyword.removesuffix("Rank") for keyword in keywords]
    repeated = any(attribute in _REPEATED for attribute in attributes)
    return [*attributes, *(["TemporalPositionIdentifier"] if repeated else [])]


def _is(value: str, wish: str | float) -> bool:
    if isinstance(wish, str):
        return fnmatchcase(value.casefold(), wish.casefold().replace("[", "[[]"))
    number = _number(value)
    return number is not None and abs(number - wish) <= 0.01


def _is_magnitude(image_type: str) -> bool:
    parts = [part.strip().upper() for part in image_type.split("\\")]
    return parts[:2] == ["ORIGINAL", "PRIMARY"] and not _NO_MAGNITUDE & set(parts[2:])


def _order(value: str) -> tuple[float, str]:
    number = _number(value)
    return (float("-inf") if number is None else number, value)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _tell(groups: Sequence[Group], keywords: Sequence[str]) -> str:
    told = [
        f"{', '.join(value or 'none' for value in values)} ({len(members)} images)"
        for values, members in groups[:8]
    ]
    more = f" and {len(groups) - 8} more" if len(groups) > 8 else ""
    return f"{len(groups)} volumes by {' and '.join(keywords)}: {'; '.join(told)}{more}"


def _refuse(code: str, told: str, series_uid: str) -> Problem:
    expected = {
        "part-not-found": "the volume that 'part' of the rule names",
        "incomplete-parts": "a volume with an image at every position of the series",
        "ambiguous-part": "one volume, or a rule that says which of them",
    }
    return Problem(
        code=code,
        tag="ImagePositionPatient",
        uid=series_uid,
        found=told,
        expected=expected[code],
        remedy="say which by 'part' of the rule in routing.yaml, or send a series for each",
    )
