"""What shall become of a study as it is now: a job, a refusal, or a little more patience."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from node.assemble.completeness import count_missing, judge_completeness
from node.assemble.digest import digest_case
from node.assemble.select import Selection, SortedStudy, sort_study
from node.assemble.validate import check_all_series
from node.bootstrap.needs import memory_of, priority_of
from node.bootstrap.parts import Parts
from node.bootstrap.pointing import find_prompts, needs_prompts, sources_of
from node.bootstrap.roles import roles_of
from node.config.settings import RoutingRule
from node.domain.errors import InputRejected, Problem
from node.domain.intake import Completeness, Intake
from node.domain.study import InstanceRef, Series, Study

SILENT = frozenset({"own-result", "other-modality"})
"""Reasons that need no answer: nobody expects findings for a report or for the node's own SEG."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Images that a rule asks for.

    Parameters
    ----------
    rule : RoutingRule
    instances : tuple of InstanceRef
        Of the series that it took, or would take if the others that it needs were there.
    """

    rule: RoutingRule
    instances: tuple[InstanceRef, ...]


class NotEvaluable(InputRejected):
    """Images that a rule asks for cannot be evaluated; whoever gets results is told."""

    def __init__(self, problems: Iterable[Problem], wanted: Wanted) -> None:
        super().__init__(problems)
        self.wanted = wanted

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.problems, self.wanted)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What can be made of a study.

    Parameters
    ----------
    selection : Selection or None
        None where nothing can be made of it.
    series : tuple of Series
        Checked, the reference first.
    completeness : Completeness
        Of those.
    problems : tuple of Problem
        Why nothing can be made of it, or only a part; none where nobody expects a result.
    missing : mapping of str to int
        Series Instance UID -> images that may still come and would change this.
    wanted : Wanted or None
        What a rule asks for, whether it can be evaluated or not.
    """

    selection: Selection | None = None
    series: tuple[Series, ...] = ()
    completeness: Completeness = field(default_factory=Completeness)
    problems: tuple[Problem, ...] = ()
    missing: Mapping[str, int]
    wanted: Wanted | None = None

    @property
    def may_improve(self) -> bool:
        """Whether it is worth while to wait."""
        return bool(self.missing)


def look_at(parts: Parts, study: Study, counts: Mapping[str, int] | None) -> Outlook:
    """Find out what can be made of a study.

    Parameters
    ----------
    parts : Parts
    study : Study
        Without the node's own results.
    counts : mapping of str to int or None
        Series Instance UID -> images that the source has; None if nobody tells.
    """
    settings = parts.settings
    sorted_study = sort_study(study, settings.routing, partial(roles_of, parts.models))
    counted = counts or {}
    own = _own_series(parts, study.study_instance_uid)
    if not sorted_study.selections:
        told: tuple[Problem, ...] = sorted_study.left_out
        silent = all(problem.code in SILENT for problem in told)
        missing = count_missing(study, counted, wanted=None, own=own)
        return Outlook(
            problems=() if silent else told, missing=missing, wanted=_unbound(sorted_study)
        )
    selection = sorted_study.selections[0]
    wanted = _wanted(selection.rule, selection.all_series)
    chosen = [series.series_instance_uid for series in selection.all_series]
    lacking = count_missing(study, counted, wanted=chosen)
    awaited = count_missing(
        study, counted, wanted=None if _lacks_role(sorted_study) else chosen, own=own
    )
    strict, problems = _check(parts, selection, let_gaps_pass=False)
    if not problems:
        completeness = judge_completeness(strict, lacking, is_counted=counts is not None)
        partial_problems = (_incomplete(study, completeness),) if completeness.is_partial else ()
        return Outlook(
            selection=selection,
            series=strict,
            completeness=completeness,
            problems=partial_problems,
            missing=awaited,
            wanted=wanted,
        )
    lenient, others = _check(parts, selection, let_gaps_pass=True)
    if others:
        return Outlook(problems=problems, missing=awaited, wanted=wanted)
    gaps = {} if counts is not None else {s.series_instance_uid: s.missing_slices for s in lenient}
    return Outlook(
        selection=selection,
        series=lenient,
        completeness=judge_completeness(lenient, lacking, is_counted=counts is not None),
        problems=problems,
        missing=awaited or {uid: n for uid, n in gaps.items() if n},
        wanted=wanted,
    )


def add_work(parts: Parts, study: Study, outlook: Outlook) -> None:
    """Make the job of an outlook.

    Raises
    ------
    InputRejected
        If nothing can be made of the study, or only a part and settings refuse that; a
        ``NotEvaluable`` where a rule asks for it.
    """
    try:
        _add_job(parts, study, outlook)
    except InputRejected as rejected:
        if outlook.wanted is None:
            raise
        raise NotEvaluable(rejected.problems, outlook.wanted) from rejected


def _add_job(parts: Parts, study: Study, outlook: Outlook) -> None:
    selection = outlook.selection
    is_partial = outlook.completeness.is_partial
    if selection is None or (is_partial and not parts.settings.node.assemble.process_partial):
        raise InputRejected(outlook.problems)
    pointing: tuple[InstanceRef, ...] = ()
    if needs_prompts(parts.models, selection.rule.bundle):
        results = parts.ledger.results_of(study.study_instance_uid)
        pointed = find_prompts(study, outlook.series[0], selection.rule, results=results)
        pointing = sources_of(study, pointed.prompts)
    parts.ledger.add_job(
        study_instance_uid=study.study_instance_uid,
        series_instance_uids=[series.series_instance_uid for series in outlook.series],
        bundle=selection.rule.bundle,
        rule=selection.rule.name,
        destinations=selection.rule.destinations,
        calling_ae_title=study.calling_ae_title,
        content_digest=digest_case(outlook.series, pointing),
        intake=Intake(
            completeness=outlook.completeness,
            parts=tuple(series.part for series in outlook.series),
        ),
        priority=priority_of(parts.settings, selection.rule, study.calling_ae_title),
        memory_bytes=memory_of(parts.models, selection.rule.bundle, outlook.series),
    )


def _check(
    parts: Parts, selection: Selection, *, let_gaps_pass: bool
) -> tuple[tuple[Series, ...], tuple[Problem, ...]]:
    try:
        checked = check_all_series(
            selection.all_series,
            minimum_slices=parts.settings.node.assemble.minimum_slices,
            choices=selection.choices,
            let_gaps_pass=let_gaps_pass,
        )
    except InputRejected as rejected:
        return (), rejected.problems
    return checked, ()


def _wanted(rule: RoutingRule, series: Sequence[Series]) -> Wanted:
    instances = {item.sop_instance_uid: item for each in series for item in each.instances}
    return Wanted(rule=rule, instances=tuple(instances.values()))


def _unbound(sorted_study: SortedStudy) -> Wanted | None:
    """What the first rule asks for that matches and lacks a role of its bundle."""
    for rule, series in sorted_study.unbound:
        return _wanted(rule, series)
    return None


def _lacks_role(sorted_study: SortedStudy) -> bool:
    return any(problem.code == "role-missing" for problem in sorted_study.left_out)


def _own_series(parts: Parts, study_instance_uid: str) -> frozenset[str]:
    """Series of results that were made of a study: its source has them, and counts them."""
    evidence: Sequence[Mapping[str, str]] = [
        item
        for job in parts.ledger.list(study=study_instance_uid)
        for item in job.result.get("evidence", ())
    ]
    return frozenset(item.get("series_instance_uid", "") for item in evidence)


def _incomplete(study: Study, completeness: Completeness) -> Problem:
    return Problem(
        code="incomplete-study",
        uid=study.study_instance_uid,
        found=f"{completeness}: {' '.join(completeness.limitations)}",
        expected="all images that its source counts",
        remedy="send the missing images, or set assemble.process_partial",
    )
