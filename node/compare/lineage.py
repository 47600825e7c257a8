"""Target lesions, and what became of lesions over several examinations, by their reports.

Each report names every lesion that it knows: those that it shows, those that are no more, and
those whose place it does not show. A lesion that fell apart or grew together with others says from
which ones it comes. One that a report is silent about (older ones are) has an unknown fate.
"""

from collections.abc import Collection, Mapping, Sequence

from node.domain.prior import EarlierSizes, PriorResult

LEAST_TARGET_MM = 10.0
MOST_TARGETS_OF_ORGAN = 2
"""A model looks at one organ; RECIST allows five targets, at most two of an organ."""


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


def follow_targets(
    prior: PriorResult, *, slice_distance_mm: float
) -> tuple[tuple[str, ...], tuple[EarlierSizes, ...]]:
    """Return the target lesions of the baseline, and the examinations since then, oldest first.

    Earlier examinations count as long as one leads to the next: by a common Tracking UID (of a
    lesion that it shows, or that one of those comes from, or that lies outside its images), or
    because nothing was found in one of them.
    """
    last = EarlierSizes(
        study_date=prior.exam.study_date,
        long_axes_mm={lesion.tracking_uid: lesion.long_axis_mm for lesion in prior.lesions},
        vanished=prior.vanished,
        unseen=frozenset(lesion.tracking_uid for lesion in prior.unseen),
        predecessors={
            lesion.tracking_uid: lesion.predecessors for lesion in (*prior.lesions, *prior.unseen)
        },
    )
    known = _names_in(last)
    linked = [last]
    for sizes in reversed(prior.history):
        if known and sizes.long_axes_mm and not known & set(sizes.long_axes_mm):
            break
        known |= _names_in(sizes)
        linked.insert(0, sizes)
    baseline = linked[0].long_axes_mm
    return choose_targets(baseline, slice_distance_mm=slice_distance_mm), tuple(linked)


def _names_in(sizes: EarlierSizes) -> set[str]:
    named = (*sizes.long_axes_mm, *sizes.unseen)
    return {stem for uid in named for stem in sizes.stems_of(uid)}


def follow_unseen(chain: Sequence[EarlierSizes]) -> list[frozenset[str]]:
    """Return, for each examination, the lesions known by then that it neither shows nor calls gone.

    That nothing at all was found does not call them gone: it may have shown another place, or not
    have been compared.

    Parameters
    ----------
    chain : sequence of EarlierSizes
        Oldest first.
    """
    known: frozenset[str] = frozenset()
    hidden = []
    for exam in chain:
        shown = frozenset(exam.long_axes_mm)
        taken_in = {old for uid in shown for old in exam.stems_of(uid)} - shown
        known = (known - exam.vanished - taken_in) | exam.unseen
        hidden.append(known - shown)
        known |= shown
    return hidden


def follow_unseen_targets(
    chain: Sequence[EarlierSizes], targets: Collection[str]
) -> list[frozenset[str]]:
    """Return those of ``follow_unseen`` that hold a target or a part of one."""
    bearers = set(targets)
    told = []
    for exam, hidden in zip(chain, follow_unseen(chain), strict=True):
        named = (*exam.long_axes_mm, *exam.unseen)
        bearers |= {uid for uid in named if not exam.stems_of(uid).isdisjoint(targets)}
        told.append(hidden & bearers)
    return told


def sum_targets_mm(exam: EarlierSizes, targets: Collection[str]) -> float:
    """Sum of the long axes of all lesions that come from a target (RECIST 1.1, section 4.4.4)."""
    return sum(
        axis_mm
        for uid, axis_mm in exam.long_axes_mm.items()
        if not exam.stems_of(uid).isdisjoint(targets)
    )


def find_others(chain: Sequence[EarlierSizes], targets: Collection[str]) -> frozenset[str]:
    """Return the lesions that stood alone at some time, and come from no target."""
    return frozenset(
        uid for exam in chain for uid in exam.long_axes_mm if exam.stems_of(uid).isdisjoint(targets)
    )
