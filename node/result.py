"""The result of a case as JSON: ``result.json``, and what the ledger keeps.

The schema is documented in ``node/README.md``; ``SCHEMA_VERSION`` rises when a key changes its
meaning or goes.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import node
from node.classify.projection import Projection
from node.compare.summary import summarize_comparison
from node.domain.features import FeatureVector
from node.domain.finding import Finding
from node.domain.prompt import Prompt
from node.domain.segmentation import Lesion
from node.domain.triage import Triage
from node.domain.volume import Volume
from node.pipeline import Case
from node.report.ibsi import IBSI_OF_FEATURE
from node.volume.statistics import measure_image

SCHEMA_VERSION = 1
SCANNER = ("Manufacturer", "ManufacturerModelName")
NOT_ASSESSED: Mapping[str, Any] = MappingProxyType(
    {
        "assessment": "Not assessed",
        "reason": "the bundle has no classifier",
        "malignancy_probability": None,
        "predicted_type": "",
        "type_probabilities": {},
    }
)
"""Stands for the assessment where a bundle only outlines lesions."""


def summarize_case(case: Case) -> dict[str, Any]:
    """Say what was found, by which model, in which time; no patient attributes."""
    assert case.volume is not None
    assert case.segmentation is not None
    model = case.toolbox.bundle.identity
    findings = {finding.lesion_number: finding for finding in case.findings}
    vectors = {vector.lesion_number: vector for vector in case.features}
    attributes = case.series.attributes
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "lesions" if case.segmentation.lesions else "no-lesions",
        "study_instance_uid": case.series.study_instance_uid,
        "series_instance_uid": case.series.series_instance_uid,
        "roles": _roles(case),
        "slices": len(case.series.slices),
        "image": {
            "scanner": " ".join(filter(None, map(attributes.get, SCANNER))),
            "kernel": attributes.get("ConvolutionKernel", ""),
            "statistics": measure_image(case.volume, attributes),
        },
        "parts": _parts(case),
        "completeness": {
            "arrival": str(case.intake.completeness.arrival),
            "missing": case.intake.completeness.missing,
            "limitations": list(case.intake.completeness.limitations),
            "partial": case.intake.completeness.is_partial,
        },
        "predecessor": case.intake.predecessor.sop_instance_uid if case.intake.predecessor else "",
        "bundle": {"name": model.name, "version": model.version, "digest": model.digest},
        "software_version": node.__version__,
        "lesions": [
            {
                **_measures(lesion, case.volume),
                **(_assessment(findings[lesion.number]) if findings else NOT_ASSESSED),
                **_position(vectors.get(lesion.number), case.toolbox.projection),
            }
            for lesion in case.segmentation.lesions
        ],
        "triage": summarize_triage(case.triage),
        "comparison": summarize_comparison(case.comparison) if case.comparison else None,
        "prompts": [_prompt(prompt, case.prompts_of) for prompt in case.prompts],
        "warnings": list(case.warnings),
        "limitations": model.limitations,
        "seconds": dict(case.seconds),
        "evidence": [
            {
                "kind": evidence.kind.value,
                "file": evidence.path.name,
                "sop_class_uid": evidence.sop_class_uid,
                "sop_instance_uid": evidence.sop_instance_uid,
                "series_instance_uid": evidence.series_instance_uid,
            }
            for evidence in case.evidence
        ],
    }


def summarize_triage(triage: Triage) -> dict[str, Any]:
    """Tell the flags, and which lesion raised which for what reason."""
    return {
        "flags": [flag.value for flag in triage.flags],
        "raised": [
            {"flag": each.flag.value, "lesion": each.lesion_number, "reason": each.reason}
            for each in triage.raised
        ],
    }


def _roles(case: Case) -> dict[str, str]:
    """Role -> Series Instance UID; empty for bundles of one series."""
    roles = [role.name for role in case.toolbox.bundle.manifest.roles]
    series = {**dict.fromkeys(roles[:1], case.series), **case.companions}
    return {role: series[role].series_instance_uid for role in roles}


def _parts(case: Case) -> dict[str, dict[str, Any]]:
    """Series Instance UID -> which of its volumes was taken, for series that hold several.

    Of a series that plays several roles that of the first, which has those of the others by role.
    """
    found: dict[str, dict[str, Any]] = {}
    for role, series in {"": case.series, **case.companions}.items():
        if series.part is None:
            continue
        told = {
            "labels": dict(series.part.labels),
            "number": series.part.number,
            "of": series.part.of,
            "chosen_by": series.part.chosen_by,
        }
        first = found.setdefault(series.series_instance_uid, told)
        if first is not told:
            first.setdefault("other_roles", {})[role] = told
    return found


def _prompt(prompt: Prompt, prompts_of: Mapping[int, tuple[Prompt, ...]]) -> dict[str, Any]:
    lesions = [number for number, prompts in prompts_of.items() if prompt in prompts]
    return {
        "source": prompt.source,
        "label": prompt.label,
        "sop_instance_uid": prompt.sop_instance_uid,
        "point_lps_mm": [round(value, 2) for value in prompt.point_lps_mm],
        "lesion": lesions[0] if lesions else None,
    }


def _measures(lesion: Lesion, volume: Volume) -> dict[str, Any]:
    return {
        "number": lesion.number,
        "tracking_uid": lesion.tracking_uid,
        "volume_ml": round(lesion.volume_ml, 3),
        "long_axis_mm": round(lesion.long_axis_mm, 2),
        "short_axis_mm": round(lesion.short_axis_mm, 2),
        "maximum_3d_diameter_mm": round(lesion.maximum_3d_diameter_mm, 2),
        "centroid_lps_mm": [round(value, 2) for value in lesion.centroid_lps_mm],
        "largest_slice_sop_instance_uid": volume.source_uids[lesion.largest_slice],
        "mean_probability": round(lesion.mean_probability, 3),
    }


def _assessment(finding: Finding) -> dict[str, Any]:
    return {
        "assessment": finding.assessment.meaning,
        "reason": finding.reason,
        "malignancy_probability": _rounded(finding.malignancy_probability),
        "predicted_type": finding.predicted_type,
        "type_probabilities": {k: round(v, 4) for k, v in finding.type_probabilities.items()},
        "contributions": [
            _contribution(name, logit) for name, logit in finding.contributions.items()
        ],
    }


def _contribution(feature: str, logit: float) -> dict[str, Any]:
    code, meaning = IBSI_OF_FEATURE.get(feature, ("", ""))
    return {"feature": feature, "ibsi": code, "meaning": meaning, "logit": round(logit, 4)}


def _position(vector: FeatureVector | None, projection: Projection | None) -> dict[str, Any]:
    """Where the lesion lies among those of the training, and its features that say so."""
    if vector is None or projection is None:
        return {}
    placement = projection.place(vector)
    values = dict(zip(vector.names, vector.values.tolist(), strict=True))
    return {
        "position": {
            "pca": [round(float(value), 4) for value in placement.pca],
            "tsne": [round(float(value), 4) for value in placement.tsne],
            "distance": round(placement.distance, 4),
            "undefined": placement.undefined,
        },
        "features": {  # JSON has no NaN
            name: None if math.isnan(values[name]) else float(f"{values[name]:.6g}")
            for name in projection.names
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
