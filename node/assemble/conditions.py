"""Conditions on the headers of a series: those of routing rules, and those of sequence roles.

Text is compared without regard to case; only ``*`` and ``?`` are special.
"""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

from node.config.settings import Range, SequenceMatch, SeriesMatch
from node.domain.study import Series, Study

_NO_CONTRAST = ("", "no", "none")
_SEPARATORS = re.compile(r"[\s_.,/()-]+")


def failed_conditions(series: Series, study: Study, match: SeriesMatch) -> list[str]:
    """Names of the conditions of a routing rule that the series fails."""
    body_part = series.attributes.get("BodyPartExamined", "")
    description = series.attributes.get("SeriesDescription", "")
    fails = {
        "modality": not _matches(series.modality, match.modality),
        "body_part": not _matches(body_part, match.body_part),
        "series_description": not _matches(description, match.series_description),
        "not_series_description": bool(match.not_series_description)
        and _matches(description, match.not_series_description),
        "calling_ae": not _matches(study.calling_ae_title, match.calling_ae),
        "requested_priority": not _matches(
            series.attributes.get("RequestedProcedurePriority", ""), match.requested_priority
        ),
        "contrast_agent": match.contrast_agent not in (None, has_contrast_agent(series)),
    }
    return [condition for condition, failed in fails.items() if failed]


def is_sequence(series: Series, match: SequenceMatch) -> bool:
    """Tell whether a series meets every condition on its sequence.

    References
    ----------
    PS3.3 C.8.3.1: ScanningSequence, EchoTime, RepetitionTime, InversionTime (ms).
    """
    attributes = series.attributes
    words = _words(attributes.get("SeriesDescription") or attributes.get("ProtocolName", ""))
    scanned = attributes.get("ScanningSequence", "").upper().split("\\")
    return (
        _has_words(words, match.description)
        and _has_words(words, match.and_description)
        and not (match.not_description and _has_words(words, match.not_description))
        and match.contrast_agent in (None, has_contrast_agent(series))
        and (
            not match.scanning_sequence
            or any(wanted.upper() in scanned for wanted in match.scanning_sequence)
        )
        and _lies_in(number_of(series, "EchoTime"), match.echo_time_ms)
        and _lies_in(number_of(series, "RepetitionTime"), match.repetition_time_ms)
        and _lies_in(number_of(series, "InversionTime"), match.inversion_time_ms)
    )


def has_contrast_agent(series: Series) -> bool:
    """Tell whether the header names a contrast agent."""
    agent = series.attributes.get("ContrastBolusAgent", "").strip().casefold()
    return agent not in _NO_CONTRAST


def number_of(series: Series, keyword: str) -> float | None:
    """First value of a numeric attribute; None if there is none, or it is damaged."""
    try:
        return float(series.attributes.get(keyword, "").split("\\")[0])
    except ValueError:
        return None


def _matches(text: str, patterns: Sequence[str]) -> bool:
    """True without patterns, or if one matches."""
    folded = text.strip().casefold()
    return not patterns or any(_fits(folded, pattern.strip().casefold()) for pattern in patterns)


def _has_words(words: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(_fits(words, _words(pattern)) for pattern in patterns)


def _words(text: str) -> str:
    """Lower case, one space for every separator, and one at either end that is no wildcard."""
    spaced = _SEPARATORS.sub(" ", text.casefold())
    head = "" if spaced.startswith((" ", "*")) else " "
    tail = "" if spaced.endswith((" ", "*")) else " "
    return head + spaced + tail


def _fits(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def _lies_in(value: float | None, ends: Range | None) -> bool:
    return ends is None or (value is not None and ends[0] <= value <= ends[1])
