"""RECIST 1.1 from diameters that a model measured: a category, and the rule that gave it.

What the criteria leave to a reader (unequivocal progression of other lesions, lymph nodes, whether
a new finding is a lesion) is not decided here, and every rule says that it is for research.

References
----------
Eisenhauer et al., doi:10.1016/j.ejca.2008.10.026, sections 3.1 (measurable), 4.1.2 (target
lesions), 4.3.1 (response of targets), 4.3.3 (others), 4.3.5 (new lesions).
"""

from collections.abc import Mapping, Sequence
from datetime import date

from node.domain.prior import (
    EarlierSizes,
    LesionChange,
    LesionStatus,
    RecistAssessment,
    Response,
)

LEAST_TARGET_MM = 10.0
MOST_TARGETS_OF_ORGAN = 2
"""A model looks at one organ; RECIST allows five targets, at most two of an organ."""
PARTIAL_RESPONSE = 0.30
PROGRESSION = 0.20
PROGRESSION_MM = 5.0
_NOTE = "by axial diameters that the model measured, for research use"
_UNSEEN = frozenset({LesionStatus.NOT_COVERED, LesionStatus.UNMATCHED})


def choose_targets(
    long_axes_mm: Mapping[str, float], *, slice_distance_mm: float = 0.0
) -> tuple[str, ...]:
    """Return the Tracking UIDs of the target lesions: the longest measurable ones of the baseline.

    Measurable is a long axis of at least 10 mm, or twice the slice distance where that is more.
    """
    least_mm = max(LEAST_TARGET_MM, 2 * slice_distance_mm if slice_distance_mm > 5 else 0.0)
    large = [(axis, uid) for uid, axis in long_axes_mm.items() if axis >= least_mm]
    ordered = sorted(large, key=lambda each: (-each[0], each[1]))
    return tuple(uid for _, uid in ordered[:MOST_TARGETS_OF_ORGAN])


def assess_response(
    changes: Sequence[LesionChange],
    earlier: Sequence[EarlierSizes],
    *,
    prior_date: date | None,
    targets: Sequence[str],
) -> RecistAssessment:
    """Sort the change into a category.

    Parameters
    ----------
    changes : sequence of LesionChange
        Against the latest earlier examination; ``is_target`` is set.
    earlier : sequence of EarlierSizes
        Of examinations before that one which follow the same target lesions, oldest first.
    prior_date : date or None
        Of the latest earlier examination.
    targets : sequence of str
        Tracking UIDs of the target lesions in earlier results.
    """
    if any(change.status is LesionStatus.UNMATCHED for change in changes):
        return _not_evaluable("lesions could not be matched with the earlier examination")
    new = [change for change in changes if change.status is LesionStatus.NEW]
    chosen = [change for change in changes if change.is_target]
    others = [change for change in changes if not change.is_target and change not in new]
    if not targets:
        return _without_targets(new, others)
    before = sum(change.long_axis_before_mm or 0.0 for change in chosen)
    sums = [
        (sum(sizes.long_axes_mm.get(uid, 0.0) for uid in targets), sizes.study_date)
        for sizes in earlier
    ]
    every = [*sums, (before, prior_date)]
    baseline, baseline_date = every[0]
    nadir, nadir_date = min(every, key=lambda each: each[0])
    unseen = [change for change in chosen if change.status in _UNSEEN]
    now = sum(change.long_axis_after_mm or 0.0 for change in chosen)
    category, rule = _judge(now, baseline, nadir, new=new, others=others, unseen=bool(unseen))
    return RecistAssessment(
        category=category,
        rule=f"RECIST 1.1, {_NOTE}: {rule}",
        sum_mm=None if unseen else now,
        baseline_sum_mm=baseline,
        nadir_sum_mm=nadir,
        baseline_date=baseline_date,
        nadir_date=nadir_date,
    )


def _judge(
    now: float,
    baseline: float,
    nadir: float,
    *,
    new: Sequence[LesionChange],
    others: Sequence[LesionChange],
    unseen: bool,
) -> tuple[Response, str]:
    """Return what the first rule that holds says."""
    told = f"sum of target diameters {now:.1f} mm, baseline {baseline:.1f} mm, nadir {nadir:.1f} mm"
    more = f"{PROGRESSION:.0%} and {PROGRESSION_MM:g} mm more than the nadir"
    less = f"{PARTIAL_RESPONSE:.0%} less than the baseline"
    grown = now - nadir >= max(PROGRESSION_MM, PROGRESSION * nadir)
    gone = now == 0
    rules = (
        (new, Response.PROGRESSIVE, _tell_new(new)),
        (unseen, Response.NOT_EVALUABLE, "a target lesion is not within the images"),
        (grown, Response.PROGRESSIVE, f"{told}: at least {more} is progression"),
        (gone and _are_gone(others), Response.COMPLETE, f"{told}: every lesion is gone"),
        (gone, Response.PARTIAL, f"{told}: all targets are gone, other lesions are not"),
        (
            now <= (1 - PARTIAL_RESPONSE) * baseline,
            Response.PARTIAL,
            f"{told}: at least {less} is partial response",
        ),
        (True, Response.STABLE, f"{told}: neither {less}, nor {more}"),
    )
    return next((category, rule) for holds, category, rule in rules if holds)


def _without_targets(
    new: Sequence[LesionChange], others: Sequence[LesionChange]
) -> RecistAssessment:
    unseen = any(other.status in _UNSEEN for other in others)
    small = f"none had a long axis of {LEAST_TARGET_MM:g} mm at the baseline"
    rules = (
        (new, Response.PROGRESSIVE, _tell_new(new)),
        (not others, Response.NOT_EVALUABLE, "no lesion in either examination"),
        (unseen, Response.NOT_EVALUABLE, "an earlier lesion is not within the images"),
        (_are_gone(others), Response.COMPLETE, f"every lesion is gone; {small}"),
        (True, Response.NON_CR_NON_PD, f"lesions persist; {small}"),
    )
    category, rule = next((category, rule) for holds, category, rule in rules if holds)
    return RecistAssessment(category=category, rule=f"RECIST 1.1, {_NOTE}: {rule}")


def _are_gone(others: Sequence[LesionChange]) -> bool:
    return all(other.status is LesionStatus.VANISHED for other in others)


def _tell_new(new: Sequence[LesionChange]) -> str:
    names = ", ".join(change.tracking_id for change in new)
    return f"a new lesion is progression ({names}), once a reader has confirmed it"


def _not_evaluable(reason: str) -> RecistAssessment:
    return RecistAssessment(
        category=Response.NOT_EVALUABLE, rule=f"RECIST 1.1, {_NOTE}: not evaluable, {reason}"
    )
