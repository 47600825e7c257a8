"""RECIST 1.1 from diameters that a model measured: a category, and the rule that gave it.

What the criteria leave to a reader (unequivocal progression of other lesions, lymph nodes, whether
a new finding is a lesion) is not decided here, and every rule says that it is for research.

References
----------
Eisenhauer et al., doi:10.1016/j.ejca.2008.10.026, sections 3.1 (measurable), 4.1.2 (target
lesions), 4.3.1 (response of targets), 4.3.3 (others), 4.3.5 (new lesions), 4.4.4 (lesions
that split or coalesce).
"""

from collections.abc import Sequence

from node.compare.lineage import (
    LEAST_TARGET_MM,
    find_others,
    follow_unseen_targets,
    sum_targets_mm,
)
from node.domain.prior import (
    EarlierSizes,
    LesionChange,
    LesionStatus,
    RecistAssessment,
    Response,
)

PARTIAL_RESPONSE = 0.30
PROGRESSION = 0.20
PROGRESSION_MM = 5.0
_NOTE = "by axial diameters that the model measured, for research use"
_UNSEEN = frozenset({LesionStatus.NOT_COVERED, LesionStatus.UNMATCHED})
_DOUBT = "a lesion may be one that the latest earlier examination did not show"
_MIXED = "a target lesion has grown together with another lesion, whose share is not known"


def assess_response(
    changes: Sequence[LesionChange], chain: Sequence[EarlierSizes], *, targets: Sequence[str]
) -> RecistAssessment:
    """Sort the change into a category.

    Parameters
    ----------
    changes : sequence of LesionChange
        Against the latest earlier examination; ``is_target`` is set.
    chain : sequence of EarlierSizes
        Of the earlier examinations that follow the same target lesions, oldest first: from the
        baseline to the latest.
    targets : sequence of str
        Tracking UIDs of the target lesions in the first of them.
    """
    known = {
        uid
        for change in changes
        for uid in (change.prior_tracking_uid, *change.further_prior_tracking_uids)
        if uid
    }
    unmatched = [change for change in changes if change.status is LesionStatus.UNMATCHED]
    if any(change.prior_tracking_uid for change in unmatched):
        return _not_evaluable("lesions could not be matched with the earlier examination")
    new = [change for change in changes if change.status is LesionStatus.NEW]
    chosen = [change for change in changes if change.is_target]
    others = [
        change for change in changes if not change.is_target and change not in (*new, *unmatched)
    ]
    doubt = _DOUBT if unmatched else ""
    if not targets:
        return _without_targets(new, others, doubt)
    *hidden, lost = follow_unseen_targets(chain, targets)
    every = [
        (sum_targets_mm(exam, targets), exam.study_date)
        for exam, missing in zip(chain, (*hidden, lost), strict=True)
        if not missing
    ]
    if not every:
        return _not_evaluable("a part of a target lesion was not within the images of the baseline")
    baseline, baseline_date = every[0]
    nadir, nadir_date = min(every, key=lambda each: each[0])
    unseen = ""
    if any(change.status in _UNSEEN for change in chosen):
        unseen = "a target lesion is not within the images"
    elif lost - known:
        unseen = "what became of a target lesion is not known since an earlier examination"
    now = sum(change.long_axis_after_mm or 0.0 for change in chosen)
    strangers = find_others(chain, targets)
    mixed = any(change.stems & strangers for change in chosen if change.lesion_number is not None)
    category, rule = _judge(
        now, baseline, nadir, new=new, others=others, unseen=unseen, doubt=doubt, is_mixed=mixed
    )
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
    unseen: str,
    doubt: str,
    is_mixed: bool,
) -> tuple[Response, str]:
    """Return what the first rule that holds says.

    With another lesion in it, a target measures too much rather than too little: that it has grown
    is then not known, that it has shrunk is.
    """
    told = f"sum of target diameters {now:.1f} mm, baseline {baseline:.1f} mm, nadir {nadir:.1f} mm"
    more = f"{PROGRESSION:.0%} and {PROGRESSION_MM:g} mm more than the nadir"
    less = f"{PARTIAL_RESPONSE:.0%} less than the baseline"
    grown = now - nadir >= max(PROGRESSION_MM, PROGRESSION * nadir)
    gone = now == 0
    rules = (
        (new, Response.PROGRESSIVE, _tell_new(new)),
        (unseen, Response.NOT_EVALUABLE, unseen),
        (grown and is_mixed, Response.NOT_EVALUABLE, _MIXED),
        (grown, Response.PROGRESSIVE, f"{told}: at least {more} is progression"),
        (doubt, Response.NOT_EVALUABLE, doubt),
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
    new: Sequence[LesionChange], others: Sequence[LesionChange], doubt: str
) -> RecistAssessment:
    unseen = any(other.status in _UNSEEN for other in others)
    small = f"none had a long axis of {LEAST_TARGET_MM:g} mm at the baseline"
    rules = (
        (new, Response.PROGRESSIVE, _tell_new(new)),
        (doubt, Response.NOT_EVALUABLE, doubt),
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
