"""What the structured report says of the change since an earlier examination.

The earlier report and its segmentation are named as other evidence (PertinentOtherEvidence); each
measurement group has its place in time. Numbers of change have no standard code, so that they
have private ones, beside the standard codes for "increase in size" and the like.

References
----------
PS3.16 TID 1502 (Time Point Context), CID 6143 and 6144 (responses), CID 6145 (role at baseline).
"""

from highdicom.sr import (
    CodeContentItem,
    Measurement,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TimePointContext,
)
from pydicom.dataset import Dataset

from node.domain.code import Code
from node.domain.intake import DocumentRef
from node.domain.prior import Comparison, LesionChange, LesionStatus
from node.report import codes
from node.report.provenance import concept
from node.report.sr_items import number_item

GROWTH = 0.25
"""Relative change of volume from which on a lesion is called larger or smaller."""
_WAS_THERE = frozenset({LesionStatus.MATCHED, LesionStatus.SPLIT, LesionStatus.MERGED})


def time_point(comparison: Comparison | None) -> TimePointContext | None:
    """Place of a measurement in time: days since the baseline, where dates are known.

    In words only: validators take the numeric offset of TID 1502 for a measurement of the region.
    """
    if comparison is None:
        return None
    baseline, days = comparison.recist.baseline_date, comparison.interval_days
    last = comparison.prior.study_date
    if days is None or last is None:
        return TimePointContext(time_point="Follow-up")
    if baseline is None or baseline > last:
        baseline = last
    offset = days + (last - baseline).days
    return TimePointContext(time_point=f"Follow-up, {offset} days after {baseline.isoformat()}")


def change_measurements(change: LesionChange | None) -> list[Measurement]:
    """Sizes before, relative change in per cent, and the doubling time in days."""
    if change is None or change.status is LesionStatus.UNMATCHED:
        return []
    return _number_items(
        (codes.EARLIER_VOLUME, change.volume_before_ml, 3, codes.MILLILITRE),
        (codes.VOLUME_CHANGE, _percent(change.volume_change), 1, codes.PERCENT),
        (codes.EARLIER_LONG_AXIS, change.long_axis_before_mm, 2, codes.MILLIMETRE),
        (codes.LONG_AXIS_CHANGE, _percent(change.long_axis_change), 1, codes.PERCENT),
        (codes.DOUBLING_TIME, change.doubling_time_days, 1, codes.DAY),
    )


def place_measurements(change: LesionChange) -> list[Measurement]:
    """Sizes of a lesion outside the images as it was last seen, and where its middle must lie."""
    return _number_items(
        (codes.EARLIER_VOLUME, change.volume_before_ml, 3, codes.MILLILITRE),
        (codes.EARLIER_LONG_AXIS, change.long_axis_before_mm, 2, codes.MILLIMETRE),
        *(
            (name, value, 2, codes.MILLIMETRE)
            for name, value in zip(codes.PLACE, change.place_lps_mm or (), strict=False)
        ),
    )


def _number_items(*numbers: tuple[Code, float | None, int, Code]) -> list[Measurement]:
    """Concept, value, digits and unit -> items of those that have a value."""
    items = (
        number_item(name, round(value, digits), unit)
        for name, value, digits, unit in numbers
        if value is not None
    )
    return [item for item in items if item is not None]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def change_evaluations(change: LesionChange | None) -> list[QualitativeEvaluation]:
    """New, larger, smaller or stable; and whether the lesion counts for RECIST."""
    if change is None:
        return []
    evaluated = []
    grown = _judge(change)
    if grown is not None:
        evaluated.append(QualitativeEvaluation(concept(codes.CHANGE), concept(grown)))
    if change.status in _WAS_THERE:
        part = codes.TARGET_LESION if change.is_target else codes.NON_TARGET_LESION
        evaluated.append(QualitativeEvaluation(concept(codes.LESION_AT_BASELINE), concept(part)))
    return evaluated


def _judge(change: LesionChange) -> Code | None:
    if change.status is LesionStatus.NEW:
        return codes.NEW
    if change.status not in _WAS_THERE or change.volume_change is None:
        return None
    if abs(change.volume_change) < GROWTH:
        return codes.STABLE
    return codes.INCREASE_IN_SIZE if change.volume_change > 0 else codes.DECREASE_IN_SIZE


def response_items(comparison: Comparison | None) -> list[CodeContentItem]:
    """Criteria and category, where one could be told."""
    if comparison is None:
        return []
    recist = comparison.recist
    is_new = any(change.status is LesionStatus.NEW for change in comparison.changes)
    by_targets = recist.baseline_sum_mm is not None and not is_new
    response = (codes.TARGET_RESPONSES if by_targets else codes.OTHER_RESPONSES).get(
        recist.category
    )
    if response is None:
        return []
    pairs = ((codes.RESPONSE_METHOD, codes.RECIST_1_1), (codes.CURRENT_RESPONSE, response))
    return [
        CodeContentItem(
            name=concept(name),
            value=concept(value),
            relationship_type=RelationshipTypeValues.CONTAINS,
        )
        for name, value in pairs
    ]


def tell_comparison(comparison: Comparison) -> list[str]:
    """The comparison in sentences."""
    prior = comparison.prior
    when = prior.study_date.isoformat() if prior.study_date else "unknown date"
    days = "" if comparison.interval_days is None else f", {comparison.interval_days} days before"
    relative = comparison.total_volume_change
    change = "" if relative is None else f" ({relative:+.0%})"
    total = (
        f"Total volume of all lesions {comparison.total_volume_before_ml:.2f} ml before, "
        f"{comparison.total_volume_after_ml:.2f} ml now{change}."
    )
    return [
        f"Compared with the examination of {when}{days} (from {prior.origin}). {total}",
        *_tell_vanished(comparison),
        *(_tell_group(each) for each in comparison.changes if _is_group(each)),
        *comparison.remarks,
        f"{comparison.recist.rule} - {comparison.recist.category.value}.",
    ]


def _tell_vanished(comparison: Comparison) -> list[str]:
    names = ", ".join(change.tracking_id for change in comparison.vanished)
    return [f"No longer found: {names}."] if names else []


def _is_group(change: LesionChange) -> bool:
    return change.status in (LesionStatus.SPLIT, LesionStatus.MERGED)


def _tell_group(change: LesionChange) -> str:
    if change.status is LesionStatus.SPLIT:
        parts = (change.lesion_number, *change.further_lesion_numbers)
        told = ", ".join(str(number) for number in parts)
        return f"{change.tracking_id} has fallen apart: segments {told} are compared as one."
    count = 1 + len(change.further_prior_tracking_uids)
    return f"{change.tracking_id}: {count} earlier lesions have grown together."


def earlier_documents(comparison: Comparison | None) -> list[Dataset]:
    """The earlier report and segmentation, as evidence of another study."""
    if comparison is None:
        return []
    missing = (*comparison.vanished, *comparison.unseen)
    documents = (
        comparison.prior.report,
        comparison.prior.segmentation,
        *(change.prior_segmentation for change in missing),
    )
    once = {each.sop_instance_uid: each for each in documents if each is not None}
    return [_reference(document) for document in once.values()]


def _reference(document: DocumentRef) -> Dataset:
    named = Dataset()
    named.StudyInstanceUID = document.study_instance_uid
    named.SeriesInstanceUID = document.series_instance_uid
    named.SOPClassUID = document.sop_class_uid
    named.SOPInstanceUID = document.sop_instance_uid
    return named
