"""Run the headers of past studies through changed rules, and see what would change."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from node.assemble.headers import read_series
from node.assemble.select import sort_study
from node.bootstrap.parts import Parts
from node.bootstrap.roles import roles_of
from node.config.reach import MODALITIES
from node.config.settings import RoutingRule
from node.domain.errors import InputRejected, TryLater
from node.domain.study import Study
from node.storage.past_studies import PastStudies, PastStudy


@dataclass(frozen=True, kw_only=True)
class Route:
    """Where rules send a study.

    Parameters
    ----------
    rule, bundle : str
    destinations : tuple of str
    series_instance_uids : tuple of str
        What would be processed, the reference first.
    priority : str
        Of the rule; empty where that of the sender holds.
    """

    rule: str
    bundle: str
    destinations: tuple[str, ...]
    series_instance_uids: tuple[str, ...]
    priority: str = ""

    def __str__(self) -> str:
        lane = f" ({self.priority})" if self.priority else ""
        return f"{self.rule}: {self.bundle} -> {', '.join(self.destinations)}{lane}"


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One study under the rules of now and under the changed ones.

    Parameters
    ----------
    study_instance_uid : str
    assembled_at : datetime
    before, after : Route or None
        None: no rule takes the study.
    """

    study_instance_uid: str
    assembled_at: datetime
    before: Route | None
    after: Route | None

    @property
    def changed(self) -> tuple[str, ...]:
        """What is different: ``taken``, ``dropped``, or which of the parts of a route."""
        if self.before is None or self.after is None:
            if self.before == self.after:
                return ()
            return ("taken",) if self.before is None else ("dropped",)
        parts = ("rule", "bundle", "destinations", "series_instance_uids", "priority")
        return tuple(
            part.removesuffix("_instance_uids")
            for part in parts
            if getattr(self.before, part) != getattr(self.after, part)
        )


def remember(past: PastStudies, study: Study) -> None:
    """Keep what rules ask of a study, if there is anything that they could ever take."""
    if any(series.modality in MODALITIES for series in study.series):
        past.keep(study)


def past_studies(parts: Parts, *, since: datetime) -> Iterator[PastStudy]:
    """Yield what is known of past studies: kept headers, else those in their files."""
    yield from parts.past.since(since)
    for uid in parts.past.not_kept(since=since):
        try:
            study = read_series(parts.store.received_of(uid))
        except (InputRejected, TryLater):  # its files are gone or damaged
            continue
        yield PastStudy(study=study, assembled_at=parts.store.last_received(uid))


def replay(
    studies: Iterable[PastStudy],
    before: Sequence[RoutingRule],
    after: Sequence[RoutingRule],
    parts: Parts,
) -> Iterator[Replayed]:
    """Route each study by both sets of rules.

    Only routing is repeated: whether the geometry of a series is sound, a study is complete or
    something points at a lesion is seen when it is processed.
    """
    for past in studies:
        yield Replayed(
            study_instance_uid=past.study.study_instance_uid,
            assembled_at=past.assembled_at,
            before=_route(past.study, before, parts),
            after=_route(past.study, after, parts),
        )


def _route(study: Study, rules: Sequence[RoutingRule], parts: Parts) -> Route | None:
    selections = sort_study(study, rules, partial(roles_of, parts.models)).selections
    if not selections:
        return None
    selection = selections[0]
    return Route(
        rule=selection.rule.name,
        bundle=selection.rule.bundle,
        destinations=selection.rule.destinations,
        series_instance_uids=tuple(each.series_instance_uid for each in selection.all_series),
        priority=selection.rule.priority or "",
    )
