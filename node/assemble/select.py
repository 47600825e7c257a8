"""Which series of a study is processed, by which rule, and why the others are not.

Left out before any rule is asked: modalities other than CT and MR, objects that are no CT or MR
images (secondary captures), localizers, derived secondary images and the node's own results.

The first rule of ``routing.yaml`` that matches a remaining series wins, and one series of the study
is processed: of several that match, the one with most slices, then with the thinnest slices, then
with the lowest series number. One study so gets one SEG and one SR.

Where the bundle of a rule has roles, they are bound among the series that match (see
``node.assemble.roles``). A rule whose roles cannot be bound is passed over, and tells why.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from node.assemble.conditions import failed_conditions
from node.assemble.headers import IMAGE_MODALITIES
from node.assemble.own import is_own
from node.assemble.roles import bind_roles
from node.assemble.validate import SOP_CLASSES
from node.config.settings import PartChoice, RoutingRule
from node.domain.errors import InputRejected, Problem
from node.domain.study import Series, Study
from node.registry.manifest import RoleEntry

RolesOf = Callable[[str], Sequence[RoleEntry]]
"""Name of a bundle -> its roles; none for a bundle of one series."""


def no_roles(_bundle: str) -> Sequence[RoleEntry]:
    """Roles where every bundle is one of a single series."""
    return ()


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What a rule sends to its bundle.

    Parameters
    ----------
    rule : RoutingRule
    series : Series
        The only one, or the one of the bundle's first role.
    companions : mapping of str to Series
        Role -> series, for the bundle's other roles in their order.
    role_parts : tuple of (PartChoice or None)
        What the roles say of the volume to take of their series; empty for a bundle without roles.
    """

    rule: RoutingRule
    series: Series
    companions: Mapping[str, Series] = field(default_factory=dict)
    role_parts: tuple[PartChoice | None, ...] = ()

    @property
    def all_series(self) -> tuple[Series, ...]:
        """Every series that takes part, the reference first."""
        return (self.series, *self.companions.values())

    @property
    def choices(self) -> tuple[PartChoice, ...]:
        """Which volume to take of each of them: as its role says, or else the rule."""
        said = self.role_parts or (None,)
        return tuple(self.rule.part if part is None else part for part in said)


@dataclass(frozen=True, kw_only=True)
class SortedStudy:
    """What becomes of every series of a study.

    Parameters
    ----------
    selections : tuple of Selection
        At most one.
    left_out : tuple of Problem
        One reason for each other series, whose ``uid`` it has, and before them what was lacking
        for rules that were passed over because a role could not be bound.
    unbound : tuple of (RoutingRule, tuple of Series)
        Those rules, in their order, each with the series that it matches.
    """

    selections: tuple[Selection, ...]
    left_out: tuple[Problem, ...]
    unbound: tuple[tuple[RoutingRule, tuple[Series, ...]], ...] = ()


def sort_study(
    study: Study, rules: Sequence[RoutingRule], roles_of: RolesOf = no_roles
) -> SortedStudy:
    """Choose the series to process and give a reason for each that is left out.

    Parameters
    ----------
    study : Study
    rules : sequence of RoutingRule
    roles_of : callable
        Tells the roles of the bundle that a rule names.
    """
    left_out = []
    candidates = []
    for series in study.series:
        reason = _unfit(series)
        if reason:
            left_out.append(reason)
        else:
            candidates.append(series)
    unbound: dict[str, tuple[Problem, ...]] = {}
    asked: list[tuple[RoutingRule, tuple[Series, ...]]] = []
    for rule in rules:
        matching = [s for s in candidates if not failed_conditions(s, study, rule.match)]
        if not matching:
            continue
        roles = roles_of(rule.bundle)
        try:
            selection = _bind(rule, matching, roles) if roles else _choose(rule, matching)
        except InputRejected as rejected:
            unbound[rule.name] = rejected.problems
            asked.append((rule, tuple(matching)))
            continue
        chosen = selection.all_series
        others = [series for series in matching if series not in chosen]
        left_out += [_reason_beaten(series, selection, is_role=bool(roles)) for series in others]
        left_out += [
            _reason_no_rule(series, study, rules, unbound)
            for series in candidates
            if series not in matching
        ]
        return SortedStudy(selections=(selection,), left_out=(*_flat(unbound), *left_out))
    reasons = [_reason_no_rule(series, study, rules, unbound) for series in candidates]
    left_out += [reason for reason in reasons if reason.code == "no-rule"]
    return SortedStudy(selections=(), left_out=(*_flat(unbound), *left_out), unbound=tuple(asked))


def _flat(unbound: Mapping[str, Sequence[Problem]]) -> list[Problem]:
    return [problem for problems in unbound.values() for problem in problems]


def _choose(rule: RoutingRule, matching: Sequence[Series]) -> Selection:
    return Selection(rule=rule, series=min(matching, key=_rank))


def _bind(rule: RoutingRule, matching: Sequence[Series], roles: Sequence[RoleEntry]) -> Selection:
    bound = bind_roles(
        matching, {role.name: rule.roles.get(role.name) or role.alternatives for role in roles}
    )
    first, *others = roles
    return Selection(
        rule=rule,
        series=bound[first.name].series,
        companions={role.name: bound[role.name].series for role in others},
        role_parts=tuple(bound[role.name].part for role in roles),
    )


def select_series(study: Study, rules: Sequence[RoutingRule]) -> tuple[Selection, ...]:
    """Choose the series to process, at most one; ``sort_study`` also tells the reasons."""
    return sort_study(study, rules).selections


def _unfit(series: Series) -> Problem | None:
    """Tell why no rule may ever take this series, or None."""
    image_type = series.attributes.get("ImageType", "").upper().split("\\")
    if is_own(series):
        return _reason(series, "own-result", "a result of this node", "images of a scanner")
    if series.modality not in IMAGE_MODALITIES:
        found = f"modality {series.modality or 'missing'}"
        return _reason(series, "other-modality", found, "CT or MR")
    if series.instances[0].sop_class_uid not in SOP_CLASSES:
        found = f"SOP class {series.instances[0].sop_class_uid}"
        return _reason(series, "not-an-image", found, "CT or MR image storage")
    if "LOCALIZER" in image_type:
        return _reason(series, "localizer", "ImageType LOCALIZER", "images of the organ")
    if image_type[:2] == ["DERIVED", "SECONDARY"]:
        return _reason(
            series, "derived-secondary", "ImageType DERIVED\\SECONDARY", "images as acquired"
        )
    return None


def _rank(series: Series) -> tuple[int, float, float, str]:
    """Sort key, best first."""
    attributes = series.attributes
    images = max(len(series.instances), int(_number(attributes.get("NumberOfFrames"), 1)))
    slices = series.places or images  # several volumes of one series count once
    thickness_mm = _number(attributes.get("SliceThickness"), float("inf"))
    number = _number(attributes.get("SeriesNumber"), float("inf"))
    return -slices, thickness_mm, number, series.series_instance_uid


def _number(text: str | None, missing: float) -> float:
    try:
        return float(text or missing)
    except ValueError:
        return missing


def _reason_beaten(series: Series, selection: Selection, *, is_role: bool) -> Problem:
    if is_role:
        return _reason(
            series,
            "no-role",
            f"rule {selection.rule.name} found another series for each role",
            "a series that plays a role of the bundle",
        )
    return _reason(
        series,
        "other-series-preferred",
        f"rule {selection.rule.name} also matches {selection.series.series_instance_uid}",
        "most slices, then the thinnest, then the lowest series number",
    )


def _reason_no_rule(
    series: Series,
    study: Study,
    rules: Sequence[RoutingRule],
    unbound: Mapping[str, Sequence[Problem]],
) -> Problem:
    told, matched = [], []
    for rule in rules:
        fails = failed_conditions(series, study, rule.match)
        if fails:
            told.append(f"{rule.name} fails on {', '.join(fails)}")
            continue
        matched.append(rule.name)
        lacks = "lacks a role" if rule.name in unbound else "is later"
        told.append(f"{rule.name} {lacks}")
    is_open = any(name in unbound for name in matched)
    code = "rule-lacks-role" if is_open else "no-rule"
    return _reason(series, code, "; ".join(told) or "no rules", "a rule that matches first")


def _reason(series: Series, code: str, found: str, expected: str) -> Problem:
    return Problem(
        code=code,
        uid=series.series_instance_uid,
        found=found,
        expected=expected,
        remedy="nothing, or change the routing rules if this series should be processed",
    )
