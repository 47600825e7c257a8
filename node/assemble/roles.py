"""Which series of a study plays which role of a bundle, or why that cannot be told.

Each role has alternatives in the order of preference; the first that any series meets gives the
candidates. Of all ways to give each role a series of its own, or a part of its own of a series that
several name parts of (phases before and after contrast agent), those count that lie in one frame of
reference; among them those in the fewest planes, then those of the fewest different numbers of
slices, are preferred: an axial T1 beside an axial FLAIR, where a sagittal one was scanned too.
If several ways are left, the study is refused and the roles that are open are named: guessing
which of two series a network should see is no business of a machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from node.assemble.conditions import has_contrast_agent, is_sequence
from node.config.settings import PartChoice, SequenceMatch
from node.domain.errors import InputRejected, Problem
from node.domain.study import Series
from node.registry.sequences import TITLES

MAXIMUM_WAYS = 10_000
_REMEDY = (
    "tell the series by 'roles' in the rule of routing.yaml (dicom_conf/README.md), or send only "
    "the series that belong together"
)


@dataclass(frozen=True, kw_only=True)
class Player:
    """What plays a role.

    Parameters
    ----------
    series : Series
    part : PartChoice or None
        Which volume of it, where the role says; else the rule may.
    """

    series: Series
    part: PartChoice | None = None


Way = tuple[Player, ...]


def bind_roles(
    series: Sequence[Series], roles: Mapping[str, Sequence[SequenceMatch]]
) -> dict[str, Player]:
    """Give every role its series.

    Parameters
    ----------
    series : sequence of Series
        What may be chosen from, as read from headers.
    roles : mapping of str to sequence of SequenceMatch
        Role -> alternatives, in the order of the bundle.

    Returns
    -------
    dict of str to Player
        In the order of ``roles``.

    Raises
    ------
    InputRejected
        With one problem for each role, also for those that were found, if any is missing or
        ambiguous.
    """
    candidates = {role: _candidates(series, matches) for role, matches in roles.items()}
    present = {role: found for role, found in candidates.items() if found}
    ways = _ways(present)
    together = [way for way in ways if _shares_frame(way)]
    best = _closest(together or ways)
    if len(present) == len(roles) and together and len(best) == 1:
        return dict(zip(roles, best[0], strict=True))
    if len(present) == len(roles) and ways and not together:
        raise InputRejected(map(_apart, roles, best[0]))
    left = dict(zip(present, zip(*best, strict=True), strict=True)) if best else present
    raise InputRejected(
        _told(role, [player.series for player in left.get(role, ())], series, is_open=not best)
        for role in roles
    )


def _candidates(series: Sequence[Series], matches: Sequence[SequenceMatch]) -> list[Player]:
    for match in matches:
        found = [Player(series=s, part=match.part) for s in series if is_sequence(s, match)]
        if found:
            return found
    return []


def _ways(candidates: Mapping[str, Sequence[Player]]) -> list[Way]:
    """Every way to give each role a series, or a part of one, of its own."""
    count = 1
    for found in candidates.values():
        count *= len(found)
    if count > MAXIMUM_WAYS:  # a study of so many alike series is ambiguous anyway
        return []
    return [way for way in product(*candidates.values()) if not _meets_itself(way)]


def _meets_itself(way: Way) -> bool:
    """Tell whether two roles would see the same; a part must be named in both to be another."""
    parts_of: dict[str, list[PartChoice | None]] = {}
    for player in way:
        parts_of.setdefault(player.series.series_instance_uid, []).append(player.part)
    return any(
        len(parts) > 1 and (None in parts or len(set(parts)) < len(parts))
        for parts in parts_of.values()
    )


def _shares_frame(way: Way) -> bool:
    """Tell whether no two frames of reference are named; a missing one contradicts none."""
    return len({_frame(player.series) for player in way} - {""}) <= 1


def _closest(ways: Sequence[Way]) -> list[Way]:
    """Ways with the fewest planes, then the fewest different numbers of slices."""
    ranks = [
        (
            len({_plane(player.series) for player in way}),
            len({_slices(player.series) for player in way}),
        )
        for way in ways
    ]
    return [way for way, rank in zip(ways, ranks, strict=True) if rank == min(ranks)]


def _frame(series: Series) -> str:
    return series.attributes.get("FrameOfReferenceUID", "").strip()


def _plane(series: Series) -> str:
    """Dominant axes of rows and columns, e.g. "xy" for axial; empty where the header tells none."""
    try:
        cosines = [
            abs(float(part))
            for part in series.attributes.get("ImageOrientationPatient", "").split("\\")
        ]
    except ValueError:
        return ""
    if len(cosines) != 6:
        return ""
    axes = {half.index(max(half)) for half in (cosines[:3], cosines[3:])}
    return "".join("xyz"[axis] for axis in sorted(axes))


def _slices(series: Series) -> int:
    frames = series.attributes.get("NumberOfFrames", "")
    return series.places or max(len(series.instances), int(frames) if frames.isdecimal() else 1)


def _told(
    role: str, found: Sequence[Series], series: Sequence[Series], *, is_open: bool
) -> Problem:
    """What was found for one role; ``is_open``: no role could be given a series of its own."""
    distinct = list({item.series_instance_uid: item for item in found}.values())
    if len(distinct) == 1 and not is_open:
        return Problem(
            code="role-found",
            tag=role,
            uid=distinct[0].series_instance_uid,
            found=_describe(distinct[0]),
            expected=_expected(role),
            remedy="nothing: another role of the study is at fault",
        )
    told = "; ".join(_describe(item) for item in (distinct or series)[:10])
    if not distinct:
        code, told = "role-missing", f"none that fits among {told or 'no series'}"
    elif len(distinct) == 1:
        code, told = "role-ambiguous", f"one that fits another role as well: {told}"
    else:
        code, told = "role-ambiguous", f"{len(distinct)} that fit equally: {told}"
    return Problem(code=code, tag=role, found=told, expected=_expected(role), remedy=_REMEDY)


def _apart(role: str, player: Player) -> Problem:
    chosen = player.series
    return Problem(
        code="role-in-another-frame",
        tag="FrameOfReferenceUID",
        uid=chosen.series_instance_uid,
        found=f"role {role}: {_describe(chosen)}, in frame of reference {_frame(chosen)}",
        expected="one frame of reference for all roles: else positions cannot be compared",
        remedy="send series of one session, or register them to one frame of reference first",
    )


def _expected(role: str) -> str:
    title = TITLES.get(role, "")
    return f"one series for the role {role}" + (f" ({title})" if title else "")


def _describe(series: Series) -> str:
    """What a person needs to find the series again: number, name, parameters of the sequence."""
    attributes = series.attributes
    name = attributes.get("SeriesDescription") or attributes.get("ProtocolName") or "no name"
    times = [
        f"{short} {attributes[keyword]}"
        for short, keyword in (
            ("TR", "RepetitionTime"),
            ("TE", "EchoTime"),
            ("TI", "InversionTime"),
        )
        if keyword in attributes
    ]
    agent = ["contrast agent"] if has_contrast_agent(series) else []
    parameters = ", ".join([*times, *agent]) or "no parameters"
    return f"series {attributes.get('SeriesNumber', '?')} '{name[:64]}' ({parameters})"
