"""Which series of a study is processed, by which rule, and why the others are not.

Left out before any rule is asked: modalities other than CT and MR, objects that are no CT or MR
images (secondary captures), localizers, derived secondary images and the node's own results.

The first rule of ``routing.yaml`` that matches a remaining series wins, and one series of the study
is processed: of several that match, the one with most slices, then with the thinnest slices, then
with the lowest series number. One study so gets one SEG and one SR.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from node.assemble.validate import SOP_CLASSES
from node.config.settings import RoutingRule, SeriesMatch
from node.domain.errors import Problem
from node.domain.study import Series, Study

OWN_NAME = "onconode"
_NO_CONTRAST = ("", "no", "none")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """A series that a rule sends to its bundle."""

    rule: RoutingRule
    series: Series


@dataclass(frozen=True, kw_only=True)
class SortedStudy:
    """What becomes of every series of a study.

    Parameters
    ----------
    selections : tuple of Selection
        At most one.
    left_out : tuple of Problem
        One reason for each other series; its ``uid`` is the series'.
    """

    selections: tuple[Selection, ...]
    left_out: tuple[Problem, ...]


def sort_study(study: Study, rules: Sequence[RoutingRule]) -> SortedStudy:
    """Choose the series to process and give a reason for each that is left out."""
    left_out = []
    candidates = []
    for series in study.series:
        reason = _unfit(series)
        if reason:
            left_out.append(reason)
        else:
            candidates.append(series)
    for rule in rules:
        matching = [s for s in candidates if not _mismatches(s, study, rule.match)]
        if matching:
            best, *others = sorted(matching, key=_rank)
            left_out += [_reason_beaten(series, rule, best) for series in others]
            left_out += [
                _reason_no_rule(series, study, rules)
                for series in candidates
                if series not in matching
            ]
            return SortedStudy(
                selections=(Selection(rule=rule, series=best),), left_out=tuple(left_out)
            )
    left_out += [_reason_no_rule(series, study, rules) for series in candidates]
    return SortedStudy(selections=(), left_out=tuple(left_out))


def select_series(study: Study, rules: Sequence[RoutingRule]) -> tuple[Selection, ...]:
    """Choose the series to process, at most one; ``sort_study`` also tells the reasons."""
    return sort_study(study, rules).selections


def _unfit(series: Series) -> Problem | None:
    """Tell why no rule may ever take this series, or None."""
    image_type = series.attributes.get("ImageType", "").upper().split("\\")
    made_by = (
        series.attributes.get("Manufacturer", ""),
        series.attributes.get("ManufacturerModelName", ""),
    )
    if any(name.casefold().startswith(OWN_NAME) for name in made_by):
        return _reason(series, "own-result", "a result of this node", "images of a scanner")
    if series.modality not in ("CT", "MR"):
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


def _mismatches(series: Series, study: Study, match: SeriesMatch) -> list[str]:
    """Names of the conditions that the series fails."""
    body_part = series.attributes.get("BodyPartExamined", "")
    description = series.attributes.get("SeriesDescription", "")
    contrast = series.attributes.get("ContrastBolusAgent", "").strip().casefold()
    fails = {
        "modality": not _matches(series.modality, match.modality),
        "body_part": not _matches(body_part, match.body_part),
        "series_description": not _matches(description, match.series_description),
        "not_series_description": bool(match.not_series_description)
        and _matches(description, match.not_series_description),
        "calling_ae": not _matches(study.calling_ae_title, match.calling_ae),
        "contrast_agent": match.contrast_agent is not None
        and match.contrast_agent != (contrast not in _NO_CONTRAST),
    }
    return [condition for condition, failed in fails.items() if failed]


def _matches(text: str, patterns: Sequence[str]) -> bool:
    """True without patterns, or if one matches; only ``*`` and ``?`` are special."""
    folded = text.strip().casefold()
    return not patterns or any(
        fnmatchcase(folded, pattern.strip().casefold().replace("[", "[[]")) for pattern in patterns
    )


def _rank(series: Series) -> tuple[int, float, float, str]:
    """Sort key, best first."""
    attributes = series.attributes
    slices = max(len(series.instances), int(_number(attributes.get("NumberOfFrames"), 1)))
    thickness_mm = _number(attributes.get("SliceThickness"), float("inf"))
    number = _number(attributes.get("SeriesNumber"), float("inf"))
    return -slices, thickness_mm, number, series.series_instance_uid


def _number(text: str | None, missing: float) -> float:
    try:
        return float(text or missing)
    except ValueError:
        return missing


def _reason_beaten(series: Series, rule: RoutingRule, best: Series) -> Problem:
    return _reason(
        series,
        "other-series-preferred",
        f"rule {rule.name} also matches {best.series_instance_uid}",
        "most slices, then the thinnest, then the lowest series number",
    )


def _reason_no_rule(series: Series, study: Study, rules: Sequence[RoutingRule]) -> Problem:
    told = []
    for rule in rules:
        fails = _mismatches(series, study, rule.match)
        told.append(
            f"{rule.name} fails on {', '.join(fails)}" if fails else f"{rule.name} is later"
        )
    return _reason(series, "no-rule", "; ".join(told) or "no rules", "a rule that matches first")


def _reason(series: Series, code: str, found: str, expected: str) -> Problem:
    return Problem(
        code=code,
        uid=series.series_instance_uid,
        found=found,
        expected=expected,
        remedy="nothing, or change the routing rules if this series should be processed",
    )
