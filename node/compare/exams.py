"""Entrance of the room: a present segmentation and an earlier result -> their comparison."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from node.compare.growth import doubling_time
from node.compare.lineage import follow_targets, follow_unseen
from node.compare.match import Group, leave_apart, match_lesions
from node.compare.recist import assess_response
from node.compare.register import not_registered, register, to_earlier, to_present
from node.domain.geometry import Vector
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
    earlier = (*prior.lesions, *prior.unseen)
    moved: list[NDArray[np.float64]] = []
    distance_mm = (images or volume).geometry.spacing_mm[0]
    targets, chain = follow_targets(prior, slice_distance_mm=distance_mm)
    if images is not None and registration.is_trusted:
        moved = [to_present(registration, each.points_lps_mm) for each in earlier]
        groups = match_lesions(segmentation, earlier, moved)
        statuses = [_status(segmentation, group, moved) for group in groups]
        if _find_open(earlier, groups, statuses, (*prior.history, chain[-1])):
            statuses = [
                LesionStatus.UNMATCHED
                if status is LesionStatus.NEW
                and _share_shown(segmentation, group.present[0], registration, images) < 1
                else status
                for group, status in zip(groups, statuses, strict=True)
            ]
        segmentation = _keep_names(segmentation, prior, groups)
    else:
        groups = leave_apart(segmentation, earlier)
        unknown = LesionStatus.UNMATCHED if earlier else LesionStatus.NEW
        statuses = [unknown] * len(groups)
    changes = tuple(
        replace(
            _change(segmentation.lesions, prior, group, status, targets),
            place_lps_mm=(
                _middle_mm(moved[group.earlier[0]]) if status is LesionStatus.NOT_COVERED else None
            ),
        )
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
            recist=assess_response(changes, chain, targets=targets),
            remarks=(*prior.remarks, *_remarks(segmentation, prior, registration, images, changes)),
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


def _middle_mm(points_mm: NDArray[np.float64]) -> Vector | None:
    if not len(points_mm):
        return None
    x, y, z = points_mm.mean(axis=0)
    return float(x), float(y), float(z)


def _share_inside(index: NDArray[np.float64], shape: tuple[int, int, int]) -> float:
    inside = (index >= -0.5) & (index <= np.array(shape) - 0.5)
    return float(inside.all(axis=-1).mean())


def _find_open(
    earlier: Sequence[PriorLesion],
    groups: Sequence[Group],
    statuses: Sequence[LesionStatus],
    chain: Sequence[EarlierSizes],
) -> frozenset[str]:
    """Return lesions outside the latest earlier images that could be anywhere outside them.

    One that was found again, or whose place is outside the present images too, could not.
    """
    placed = {
        earlier[j].tracking_uid
        for group, status in zip(groups, statuses, strict=True)
        if status is not LesionStatus.VANISHED
        for j in group.earlier
    }
    return follow_unseen(chain)[-1] - placed


def _keep_names(
    segmentation: Segmentation, prior: PriorResult, groups: Sequence[Group]
) -> Segmentation:
    """Give matched lesions their earlier names; new ones a Tracking ID that nobody had."""
    earlier = (*prior.lesions, *prior.unseen)
    taken = {lesion.tracking_id for lesion in earlier} | prior.tracking_ids
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


def _change(
    lesions: Sequence[Lesion],
    prior: PriorResult,
    group: Group,
    status: LesionStatus,
    targets: Collection[str],
) -> LesionChange:
    now = [lesions[i] for i in group.present]
    then = [(*prior.lesions, *prior.unseen)[j] for j in group.earlier]
    named = now[0] if now else then[0]
    stems = frozenset(uid for each in then for uid in (each.tracking_uid, *each.predecessors))
    # a size of a still earlier examination is no measure of what changed since the latest one
    is_known = bool(then) and (not now or max(group.earlier) < len(prior.lesions))
    before_ml = sum(each.volume_ml for each in then) if is_known else None
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
        long_axis_before_mm=sum(each.long_axis_mm for each in then) if is_known else None,
        long_axis_after_mm=sum(each.long_axis_mm for each in now) if now else None,
        doubling_time_days=days,
        doubling_time_reason=reason,
        further_lesion_numbers=tuple(each.number for each in now[1:]),
        further_prior_tracking_uids=tuple(each.tracking_uid for each in then[1:]),
        is_target=not stems.isdisjoint(targets),
        prior_segment_number=then[0].segment_number if then else None,
        prior_segmentation=then[0].segmentation if then else None,
        prior_series_uid=then[0].series_instance_uid if then else "",
        stems=stems,
    )


def _remarks(
    segmentation: Segmentation,
    prior: PriorResult,
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
    unseen = {lesion.tracking_uid for lesion in prior.unseen}
    again = [
        each.tracking_id
        for each in changes
        if each.lesion_number is not None
        and unseen & {each.prior_tracking_uid, *each.further_prior_tracking_uids}
    ]
    if again:
        told.append(
            f"Lesions of a still earlier examination are seen again, which the latest earlier "
            f"images did not show: {', '.join(again)}."
        )
    doubtful = [each.tracking_id for each in changes if each.status is LesionStatus.UNMATCHED]
    if doubtful:
        told.append(
            f"Lesions that the latest earlier images do not wholly show may be known from a still "
            f"earlier examination, and are not called new: {', '.join(doubtful)}."
        )
    outside = [
        each.tracking_id
        for each in changes
        if each.status is LesionStatus.NEW
        and each.lesion_number is not None
        and _share_shown(segmentation, each.lesion_number - 1, registration, images) < COVERED
    ]
    if outside:
        told.append(
            f"Lesions that are called new lie where the earlier images do not reach: "
            f"{', '.join(outside)}."
        )
    return told


def _share_shown(
    segmentation: Segmentation, place: int, registration: Registration, images: Volume
) -> float:
    """Share of a present lesion that lies within the earlier images."""
    mask = segmentation.mask_of(segmentation.lesions[place])
    points = to_earlier(registration, segmentation.geometry.to_lps(np.argwhere(mask)))
    return _share_inside(images.geometry.to_index(points), images.geometry.shape)
