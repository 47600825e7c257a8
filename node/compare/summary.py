"""A comparison as JSON: ``comparison`` of ``result.json`` (schema in ``node/README.md``)."""

from datetime import date
from typing import Any

from node.domain.prior import Comparison, LesionChange


def summarize_comparison(comparison: Comparison) -> dict[str, Any]:
    """Say what changed since which examination; no patient attributes."""
    prior, registration, recist = comparison.prior, comparison.registration, comparison.recist
    return {
        "prior": {
            "study_instance_uid": prior.study_instance_uid,
            "series_instance_uid": prior.series_instance_uid,
            "study_date": _iso(prior.study_date),
            "sr_sop_instance_uid": prior.report.sop_instance_uid,
            "seg_sop_instance_uid": (
                prior.segmentation.sop_instance_uid if prior.segmentation else ""
            ),
            "bundle": {"name": prior.bundle, "version": prior.version, "digest": prior.digest},
            "origin": prior.origin,
        },
        "interval_days": comparison.interval_days,
        "registration": {
            "is_trusted": registration.is_trusted,
            "reason": registration.reason,
            "matrix": [round(value, 6) for value in registration.matrix],
            "rotation_degrees": round(registration.rotation_degrees, 2),
            "translation_mm": round(registration.translation_mm, 2),
            "correlation": round(registration.correlation, 3),
            "overlap": round(registration.overlap, 3),
            "shares_frame_of_reference": registration.shares_frame_of_reference,
        },
        "changes": [_change(change) for change in comparison.changes],
        "total_volume_before_ml": round(comparison.total_volume_before_ml, 3),
        "total_volume_after_ml": round(comparison.total_volume_after_ml, 3),
        "total_volume_change": _rounded(comparison.total_volume_change, 4),
        "recist": {
            "category": recist.category.value,
            "rule": recist.rule,
            "sum_mm": _rounded(recist.sum_mm, 2),
            "baseline_sum_mm": _rounded(recist.baseline_sum_mm, 2),
            "baseline_date": _iso(recist.baseline_date),
            "nadir_sum_mm": _rounded(recist.nadir_sum_mm, 2),
            "nadir_date": _iso(recist.nadir_date),
        },
        "remarks": list(comparison.remarks),
    }


def _change(change: LesionChange) -> dict[str, Any]:
    return {
        "status": change.status.value,
        "lesion": change.lesion_number,
        "further_lesions": list(change.further_lesion_numbers),
        "tracking_id": change.tracking_id,
        "tracking_uid": change.tracking_uid,
        "prior_tracking_uid": change.prior_tracking_uid,
        "further_prior_tracking_uids": list(change.further_prior_tracking_uids),
        "volume_before_ml": _rounded(change.volume_before_ml, 3),
        "volume_after_ml": _rounded(change.volume_after_ml, 3),
        "volume_change": _rounded(change.volume_change, 4),
        "long_axis_before_mm": _rounded(change.long_axis_before_mm, 2),
        "long_axis_after_mm": _rounded(change.long_axis_after_mm, 2),
        "long_axis_change": _rounded(change.long_axis_change, 4),
        "doubling_time_days": _rounded(change.doubling_time_days, 1),
        "doubling_time_reason": change.doubling_time_reason,
        "is_target": change.is_target,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _iso(day: date | None) -> str:
    return day.isoformat() if day else ""
