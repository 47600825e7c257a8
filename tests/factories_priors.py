"""Examinations with known lesions, to be compared with earlier ones."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Geometry
from node.domain.intake import DocumentRef
from node.domain.prior import (
    Comparison,
    LesionChange,
    LesionStatus,
    PriorExam,
    PriorLesion,
    PriorResult,
    RecistAssessment,
    Registration,
    Response,
)
from node.domain.segmentation import Segmentation
from node.domain.volume import Volume
from node.segment.lesions import LesionSpec, find_lesions

SPEC = LesionSpec(minimum_area_mm2=1.0)


def make_document(name: str) -> DocumentRef:
    """A document that an earlier study holds."""
    return DocumentRef(
        study_instance_uid="1.2.840.1",
        series_instance_uid="1.2.840.1.2",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34" if name == "sr" else
        "1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid="1.2.840.1.2.3" if name == "sr" else "1.2.840.1.2.4",
    )  # fmt: skip


def make_exam(study_date: date | None = date(2024, 1, 2)) -> PriorExam:
    """An earlier examination by the model of ``factories_report``."""
    return PriorExam(
        study_instance_uid="1.2.840.1",
        series_instance_uid="1.2.840.1.1",
        study_date=study_date,
        report=make_document("sr"),
        segmentation=make_document("seg"),
        bundle="brain-t1ce",
        version="1.0.0",
        digest="5f" * 32,
        origin="a folder",
    )


def make_volume_of(voxels: NDArray, geometry: Geometry, *, visit: str = "1") -> Volume:
    """Images of one visit, each in a frame of reference of its own."""
    count = voxels.shape[0]
    return Volume(
        voxels=voxels,
        geometry=geometry,
        modality="MR",
        study_instance_uid=f"1.2.3.{visit}",
        series_instance_uid=f"1.2.3.{visit}.1",
        frame_of_reference_uid=f"1.2.3.{visit}.2",
        source_uids=tuple(f"1.2.3.{visit}.3.{k + 1}" for k in range(count)),
        source_frames=(1,) * count,
    )


def segment_mask(volume: Volume, mask: NDArray[np.bool_]) -> Segmentation:
    """What the node makes of a network that is sure of every voxel."""
    return find_lesions(volume, mask.astype(np.float16), SPEC, model_digest="5f")


def make_prior(
    segmentation: Segmentation, *, interval_days: int | None = 91, exam: PriorExam | None = None
) -> PriorResult:
    """A segmentation of the earlier visit as it is read back from SEG and SR."""
    lesions = tuple(
        PriorLesion(
            tracking_id=lesion.tracking_id,
            tracking_uid=lesion.tracking_uid,
            volume_ml=lesion.volume_ml,
            long_axis_mm=lesion.long_axis_mm,
            points_lps_mm=segmentation.geometry.to_lps(np.argwhere(segmentation.mask_of(lesion))),
            segment_number=lesion.number,
        )
        for lesion in segmentation.lesions
    )
    return PriorResult(exam=exam or make_exam(), interval_days=interval_days, lesions=lesions)


def balls(geometry: Geometry, places: Sequence[tuple[float, float, float, float]]) -> NDArray:
    """Mask of balls at x, y, z (LPS mm) with a radius in mm."""
    index = np.moveaxis(np.indices(geometry.shape), 0, -1)
    points = geometry.to_lps(index)
    mask = np.zeros(geometry.shape, bool)
    for x, y, z, radius in places:
        mask |= ((points - (x, y, z)) ** 2).sum(axis=-1) <= radius**2
    return mask


def make_comparison(segmentation: Segmentation, **changed: object) -> Comparison:
    """One lesion of each fate: grown, new, vanished; and a sum of diameters that says PD."""
    first, second = segmentation.lesions[:2]
    changes = (
        LesionChange(
            status=LesionStatus.MATCHED,
            tracking_id=first.tracking_id,
            tracking_uid=first.tracking_uid,
            lesion_number=first.number,
            prior_tracking_uid=first.tracking_uid,
            volume_before_ml=first.volume_ml / 2,
            volume_after_ml=first.volume_ml,
            long_axis_before_mm=first.long_axis_mm / 1.25,
            long_axis_after_mm=first.long_axis_mm,
            doubling_time_days=91.0,
            is_target=True,
        ),
        LesionChange(
            status=LesionStatus.NEW,
            tracking_id=second.tracking_id,
            tracking_uid=second.tracking_uid,
            lesion_number=second.number,
            volume_after_ml=second.volume_ml,
            long_axis_after_mm=second.long_axis_mm,
            doubling_time_reason="there is no volume in both examinations",
        ),
        LesionChange(
            status=LesionStatus.VANISHED,
            tracking_id="Lesion 7",
            tracking_uid="2.25.777",
            prior_tracking_uid="2.25.777",
            volume_before_ml=0.5,
            long_axis_before_mm=9.0,
            prior_segment_number=2,
            doubling_time_reason="there is no volume in both examinations",
        ),
    )
    exam = make_exam()
    given = {
        "prior": exam,
        "interval_days": 70,
        "registration": Registration(
            is_trusted=True,
            reason="correlation 0.93 over 98% of the body",
            matrix=(1.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            rotation_degrees=0.0,
            translation_mm=2.0,
            correlation=0.93,
            overlap=0.98,
            shares_frame_of_reference=False,
        ),
        "changes": changes,
        "total_volume_before_ml": first.volume_ml / 2 + 0.5,
        "total_volume_after_ml": first.volume_ml + second.volume_ml,
        "recist": RecistAssessment(
            category=Response.PROGRESSIVE,
            rule="RECIST 1.1, by axial diameters that the model measured, for research use: a new "
            "lesion is progression",
            sum_mm=first.long_axis_mm,
            baseline_sum_mm=first.long_axis_mm / 1.25,
            nadir_sum_mm=first.long_axis_mm / 1.25,
            baseline_date=exam.study_date,
            nadir_date=exam.study_date,
        ),
        "remarks": ("Earlier images were registered rigidly: correlation 0.93.",),
    }
    return Comparison(**{**given, **changed})
