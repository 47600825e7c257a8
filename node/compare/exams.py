"""Entrance of the room: a present segmentation and an earlier result -> their comparison."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from node.compare.growth import doubling_time
from node.compare.match import Group, leave_apart, match_lesions
from node.compare.recist import assess_response, choose_targets
from node.compare.register import not_registered, register, to_earlier, to_present
from node.domain.prior import (
    Comparison,
    EarlierSizes,
    LesionChange,
    LesionStatus,
    PriorLesion,
    PriorResult,
    Registration,
)
from node.domain.segmentation import Lesion, Segmentation
from node.domain.volume import Volume

COVERED = 0.5
"""Share of a lesion that must lie within the other images, for its absence to tell anything."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """A segmentation whose lesions have kept their earlier names, and the comparison."""

    segmentation: Segmentation
    comparison: Comparison


def compare_exams(
    volume: Volume, segmentation: Segmentation, prior: PriorResult, images: Volume | None
) -> Compared:
    """Compare with an earlier result of the same patient.

    Parameters
    ----------
    volume : Volume
        The present images.
    segmentation : Segmentation
        On their grid.
    prior : PriorResult
    images : Volume or None
        Those of the earlier result; without them lesions are not matched, and only totals told.

    Returns
    -------
    Compared
        Lesions that were there before have the Tracking ID and UID that they had then.
    """
    if images is None:
        registration = not_registered("the earlier images are not at hand")
    else:
        registration = register(volume, images)
    if registration.is_trusted:
        moved = [to_present(registration, each.points_lps_mm) for each in prior.lesions]
        groups = match_lesions(segmentation, prior.lesions, moved)
        statuses = [_status(segmentation, group, moved) for group in groups]
        segmentation = _keep_names(segmentation, prior.lesions, groups)
    else:
        groups = leave_apart(segmentation, prior.lesions)
        unknown = LesionStatus.UNMATCHED if prior.lesions else LesionStatus.NEW
        statuses = [unknown] * len(groups)
    targets, history = _follow_targets(prior, images or volume)
    changes = tuple(
        _change(segmentation.lesions, prior, group, status, targets)
        for group, status in zip(groups, statuses, strict=True)
    )
    return Compared(
        segmentation=segmentation,
        comparison=Comparison(
            prior=prior.exam,
            interval_days=prior.interval_days,
            registration=registration,
            changes=changes,
            total_volume_before_ml=sum(each.volume_ml for each in prior.lesions),
            total_volume_after_ml=sum(each.volume_ml for each in segmentation.lesions),
            recist=assess_response(
                changes, history, prior_date=prior.exam.study_date, targets=targets
            ),
            remarks=(*prior.remarks, *_remarks(segmentation, registration, images, changes)),
        ),
    )


def _status(
    segmentation: Segmentation, group: Group, moved_mm: Sequence[NDArray[np.float64]]
) -> LesionStatus:
    if not group.earlier:
        return LesionStatus.NEW
    if group.present:
        if len(group.earlier) > 1:
            return LesionStatus.MERGED
        return LesionStatus.SPLIT if len(group.present) > 1 else LesionStatus.MATCHED
    index = segmentation.geometry.to_index(moved_mm[group.earlier[0]])
    shown = _share_inside(index, segmentation.geometry.shape)
    return LesionStatus.VANISHED if shown >= COVERED else LesionStatus.NOT_COVERED


def _share_inside(index: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    inside = (index >= -0.5) & (index <= np.array(shape) - 0.5)
    return float(inside.all(axis=-1).mean())


def _keep_names(
    segmentation: Segmentation, earlier: Sequence[PriorLesion], groups: Sequence[Group]
) -> Segmentation:
    """Give matched lesions their earlier names; new ones a Tracking ID that nobody had."""
    taken = {lesion.tracking_id for lesion in earlier}
    numbers = [int(found[1]) for each in taken if (found := re.fullmatch(r"Lesion (\d+)", each))]
    following = max(numbers, default=0)
    named: dict[int, Lesion] = {}
    for group in groups:
        for place, i in enumerate(group.present):
            lesion = segmentation.lesions[i]
            if group.earlier and place == 0:
                known = earlier[group.earlier[0]]
                named[i] = replace(
                    lesion, tracking_id=known.tracking_id, tracking_uid=known.tracking_uid
                )
            else:
                following += 1
                named[i] = replace(lesion, tracking_id=f"Lesion {following}")
    return replace(segmentation, lesions=tuple(named[i] for i in range(len(named))))


def _follow_targets(
    prior: PriorResult, images: Volume
) -> tuple[tuple[str, ...], tuple[EarlierSizes, ...]]:
    """Return the target lesions of the baseline, and the examinations since then without the last.

    Earlier examinations count as long as one leads to the next: by a common Tracking UID, or
    because nothing was found in one of them.
    """
    last = {lesion.tracking_uid: lesion.long_axis_mm for lesion in prior.lesions}
    known = set(last)
    linked: list[EarlierSizes] = []
    for sizes in reversed(prior.history):
        if known and sizes.long_axes_mm and not known & set(sizes.long_axes_mm):
            break
        known |= set(sizes.long_axes_mm)
        linked.insert(0, sizes)
    baseline = linked[0].long_axes_mm if linked else last
    distance_mm = images.geometry.spacing_mm[0]
    return choose_targets(baseline, slice_distance_mm=distance_mm), tuple(linked)


def _change(
    lesions: Sequence[Lesion],
    prior: PriorResult,
    group: Group,
    status: LesionStatus,
    targets: Collection[str],
) -> LesionChange:
    now = [lesions[i] for i in group.present]
    then = [prior.lesions[j] for j in group.earlier]
    named = now[0] if now else then[0]
    before_ml = sum(each.volume_ml for each in then) if then else None
    after_ml = sum(each.volume_ml for each in now) if now else None
    days, reason = doubling_time(before_ml, after_ml, prior.interval_days)
    return LesionChange(
        status=status,
        tracking_id=named.tracking_id,
        tracking_uid=named.tracking_uid,
        lesion_number=now[0].number if now else None,
        prior_tracking_uid=then[0].tracking_uid if then else None,
        volume_before_ml=before_ml,
        volume_after_ml=after_ml,
        long_axis_before_mm=sum(each.long_axis_mm for each in then) if then else None,
        long_axis_after_mm=sum(each.long_axis_mm for each in now) if now else None,
        doubling_time_days=days,
        doubling_time_reason=reason,
        further_lesion_numbers=tuple(each.number for each in now[1:]),
        further_prior_tracking_uids=tuple(each.tracking_uid for each in then[1:]),
        is_target=any(each.tracking_uid in targets for each in then),
        prior_segment_number=then[0].segment_number if then else None,
    )


def _remarks(
    segmentation: Segmentation,
    registration: Registration,
    images: Volume | None,
    changes: Sequence[LesionChange],
) -> list[str]:
    if images is None or not registration.is_trusted:
        return [f"Lesions were not matched with the earlier ones: {registration.reason}."]
    told = [f"Earlier images were registered rigidly: {registration.reason}."]
    hidden = [each for each in changes if each.status is LesionStatus.NOT_COVERED]
    if hidden:
        names = ", ".join(each.tracking_id for each in hidden)
        told.append(f"The place of earlier lesions is not within these images: {names}.")
    numbers = {each.lesion_number for each in changes if each.status is LesionStatus.NEW}
    outside = [
        lesion.tracking_id
        for lesion in segmentation.lesions
        if lesion.number in numbers and not _is_inside(lesion, registration, images)
    ]
    if outside:
        told.append(
            f"Lesions that are called new lie where the earlier images do not reach: "
            f"{', '.join(outside)}."
        )
    return told


def _is_inside(lesion: Lesion, registration: Registration, images: Volume) -> bool:
    point = to_earlier(registration, np.array([lesion.centroid_lps_mm]))
    return _share_inside(images.geometry.to_index(point), images.geometry.shape) > 0
