"""Comparisons with known changes, and reports that hold them."""

from dataclasses import replace
from pathlib import Path

from factories_priors import make_exam
from factories_report import SeriesOnDisk, axes, make_labels, make_report, make_series

from node.domain.prior import (
    Comparison,
    LesionChange,
    LesionStatus,
    RecistAssessment,
    Registration,
    Response,
)
from node.domain.report import Report
from node.domain.triage import TriageRule, decide_triage


def make_change(
    number: int | None,
    status: LesionStatus = LesionStatus.MATCHED,
    *,
    before_ml: float | None = 1.0,
    after_ml: float | None = 1.0,
) -> LesionChange:
    """A change of one lesion between two volumes."""
    return LesionChange(
        status=status,
        tracking_id=f"lesion {number or 'gone'}",
        tracking_uid=f"2.25.{number or 99}",
        lesion_number=number,
        prior_tracking_uid=None if status is LesionStatus.NEW else f"2.25.{number or 99}",
        volume_before_ml=before_ml,
        volume_after_ml=after_ml,
        long_axis_before_mm=None if before_ml is None else 12.0,
        long_axis_after_mm=None if after_ml is None else 15.0,
        doubling_time_days=181.5,
    )


def make_comparison(*changes: LesionChange) -> Comparison:
    """A comparison with an examination that could be registered."""
    return Comparison(
        prior=make_exam(),
        interval_days=91,
        registration=Registration(
            is_trusted=True,
            reason="the images agree",
            matrix=(1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0),
            rotation_degrees=0.5,
            translation_mm=1.0,
            correlation=0.95,
            overlap=0.97,
            shares_frame_of_reference=False,
        ),
        changes=changes,
        total_volume_before_ml=sum(each.volume_before_ml or 0 for each in changes),
        total_volume_after_ml=sum(each.volume_after_ml or 0 for each in changes),
        recist=RecistAssessment(category=Response.PROGRESSIVE, rule="PD: a new lesion"),
        remarks=("Compared with the examination of 2024-01-02.",),
    )


def make_told_report(
    folder: Path, *, lesions: int = 2, headers: dict[str, object] | None = None, **series: object
) -> tuple[Report, SeriesOnDisk]:
    """A series, and a report of it that is flagged as its content asks for."""
    on_disk = make_series(folder, axes(shape=(6, 24, 24)), headers=headers, **series)  # type: ignore[arg-type]  # handed on
    report = make_report(on_disk.volume, make_labels(on_disk.volume.geometry.shape, lesions))
    comparison = None
    if lesions:
        comparison = make_comparison(
            make_change(1, before_ml=1.0, after_ml=1.6),
            make_change(2, LesionStatus.NEW, before_ml=None, after_ml=0.2),
            make_change(None, LesionStatus.VANISHED, before_ml=0.4, after_ml=None),
        )
    triage = decide_triage(report.segmentation.lesions, report.findings, comparison, TriageRule())
    return replace(report, comparison=comparison, triage=triage), on_disk
