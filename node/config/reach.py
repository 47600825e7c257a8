"""Rules that can never win: matched by no series, or always behind another rule.

Only what is certain is told. A rule is unreachable when every series that it matches is matched by
a rule before it that is never passed over; the first rule that matches any series of a study wins,
so such a rule is not asked. Rules whose bundle binds roles may be passed over and hide nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product

from node.config.document import Document
from node.config.settings import RoutingRule, SeriesMatch
from node.config.wildcards import Texts, covers, is_empty
from node.domain.errors import Problem

MODALITIES = ("CT", "MR")
"""Series of another modality are left out before any rule is asked (``node.assemble.select``)."""

UNDERSTOOD = frozenset(
    {
        "modality",
        "body_part",
        "series_description",
        "not_series_description",
        "calling_ae",
        "contrast_agent",
    }
)
"""Conditions that are reasoned about here; of others only equality is."""


def check_reach(
    rules: Sequence[RoutingRule], routing: Document, has_roles: Callable[[str], bool]
) -> Iterator[Problem]:
    """Tell every rule that can never win.

    Parameters
    ----------
    rules : sequence of RoutingRule
        In the order of the file.
    routing : Document
        The file; knows the lines.
    has_roles : callable
        Tells whether a bundle of that name binds roles.
    """
    for i, rule in enumerate(rules):
        place = routing.place(("rules", i))
        reason = _impossible(rule.match)
        if reason:
            yield Problem(
                code="rule-never-matches",
                tag=place,
                found=f"rule {rule.name}: {reason}",
                expected="conditions that a CT or MR series can meet",
                remedy="correct the conditions, or take the rule out",
            )
            continue
        before = [
            earlier for earlier in rules[:i] if not earlier.roles and not has_roles(earlier.bundle)
        ]
        winners = _find_winners(rule.match, before)
        if winners:
            names = " and ".join(winners)
            yield Problem(
                code="unreachable-rule",
                tag=place,
                found=f"rule {rule.name}: whatever it matches, {names} before it matches too",
                expected="a rule that can win",
                remedy=f"put it before {winners[0]}, narrow that one, or take this rule out",
            )


def _impossible(match: SeriesMatch) -> str:
    if not any(_takes(match, modality) for modality in MODALITIES):
        return f"modality {', '.join(match.modality)} is never analysed"
    if is_empty(_descriptions(match)):
        return "not_series_description excludes all that series_description asks for"
    return ""


def _find_winners(match: SeriesMatch, before: Sequence[RoutingRule]) -> list[str]:
    """Names of rules that take everything between them; none if something is left."""
    winners: list[str] = []
    agents = (True, False) if match.contrast_agent is None else (match.contrast_agent,)
    for modality, agent in product(MODALITIES, agents):
        if not _takes(match, modality):
            continue
        winner = next(
            (
                rule.name
                for rule in before
                if _takes(rule.match, modality)
                and rule.match.contrast_agent in (None, agent)
                and _is_wider(rule.match, match)
            ),
            None,
        )
        if winner is None:
            return []
        if winner not in winners:
            winners.append(winner)
    return winners


def _takes(match: SeriesMatch, modality: str) -> bool:
    return covers(Texts(included=match.modality), Texts(included=(modality,)))


def _is_wider(outer: SeriesMatch, inner: SeriesMatch) -> bool:
    """Tell whether the texts of a series that meets ``inner`` surely meet ``outer``."""
    unknown = set(SeriesMatch.model_fields) - UNDERSTOOD
    none = SeriesMatch()
    return (
        all(getattr(outer, key) in (getattr(none, key), getattr(inner, key)) for key in unknown)
        and covers(Texts(included=outer.body_part), Texts(included=inner.body_part))
        and covers(Texts(included=outer.calling_ae), Texts(included=inner.calling_ae))
        and covers(_descriptions(outer), _descriptions(inner))
    )


def _descriptions(match: SeriesMatch) -> Texts:
    return Texts(included=match.series_description, excluded=match.not_series_description)
