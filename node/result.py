"""The result of a case as JSON: ``result.json``, and what the ledger keeps.

The schema is documented in ``node/README.md``; ``SCHEMA_VERSION`` rises when a key changes its
meaning or goes.
"""

from typing import Any

import node
from node.domain.finding import Finding
from node.domain.segmentation import Lesion
from node.pipeline import Case

SCHEMA_VERSION = 1


def summarize_case(case: Case) -> dict[str, Any]:
    """Say what was found, by which model, in which time; no patient attributes."""
    assert case.volume is not None
    assert case.segmentation is not None
    model = case.toolbox.bundle.identity
    findings = {finding.lesion_number: finding for finding in case.findings}
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "lesions" if case.segmentation.lesions else "no-lesions",
        "study_instance_uid": case.series.study_instance_uid,
        "series_instance_uid": case.series.series_instance_uid,
        "slices": len(case.series.slices),
        "bundle": {"name": model.name, "version": model.version, "digest": model.digest},
        "software_version": node.__version__,
        "lesions": [
            _lesion(lesion, findings[lesion.number], case.volume.source_uids)
            for lesion in case.segmentation.lesions
        ],
        "limitations": model.limitations,
        "seconds": dict(case.seconds),
        "evidence": [
            {
                "kind": evidence.kind.value,
                "file": evidence.path.name,
                "sop_class_uid": evidence.sop_class_uid,
                "sop_instance_uid": evidence.sop_instance_uid,
            }
            for evidence in case.evidence
        ],
    }


def _lesion(lesion: Lesion, finding: Finding, source_uids: tuple[str, ...]) -> dict[str, Any]:
    return {
        "number": lesion.number,
        "tracking_uid": lesion.tracking_uid,
        "volume_ml": round(lesion.volume_ml, 3),
        "long_axis_mm": round(lesion.long_axis_mm, 2),
        "short_axis_mm": round(lesion.short_axis_mm, 2),
        "maximum_3d_diameter_mm": round(lesion.maximum_3d_diameter_mm, 2),
        "centroid_lps_mm": [round(value, 2) for value in lesion.centroid_lps_mm],
        "largest_slice_sop_instance_uid": source_uids[lesion.largest_slice],
        "mean_probability": round(lesion.mean_probability, 3),
        "assessment": finding.assessment.meaning,
        "reason": finding.reason,
        "malignancy_probability": _rounded(finding.malignancy_probability),
        "predicted_type": finding.predicted_type,
        "type_probabilities": {k: round(v, 4) for k, v in finding.type_probabilities.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
