"""Measurement groups of the structured report: one for each lesion, or one that says "absent"."""

from collections.abc import Mapping
from typing import Any

from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    UIDRefContentItem,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from node.domain.code import Code
from node.domain.finding import Finding
from node.domain.prior import LesionChange, LesionStatus
from node.domain.prompt import Prompt
from node.domain.report import ModelIdentity, Report
from node.domain.segmentation import Lesion
from node.domain.volume import Volume
from node.report import codes
from node.report.provenance import LONG_STRING, SHORT_TEXT, concept, plain_text, significant
from node.report.sr_change import (
    change_evaluations,
    change_measurements,
    place_measurements,
    time_point,
)
from node.report.sr_items import number_item, text_item
from node.report.uids import derive_uid

MeasurementGroup = (
    VolumetricROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations
)


def lesion_group(
    *,
    lesion: Lesion,
    finding: Finding | None,
    report: Report,
    seg: Dataset,
    source_series_uid: str,
    volume: Volume | None,
) -> VolumetricROIMeasurementsAndQualitativeEvaluations:
    """Measurement group of one lesion (PS3.16 TID 1411).

    Parameters
    ----------
    lesion, finding
        What was measured and what was concluded; no finding from a model that only segments.
    report : Report
    seg : Dataset
        Segmentation whose segment ``lesion.number`` is the lesion.
    source_series_uid : str
    volume : Volume or None
        Gives the mean attenuation where it is a CT.
    """
    model = report.model
    change = report.comparison.change_of(lesion.number) if report.comparison else None
    evaluated = (_evaluate(finding) if finding else []) + change_evaluations(change)
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=lesion.tracking_uid, identifier=plain_text(lesion.tracking_id, LONG_STRING)
        ),
        # Built by hand: the library's own constructor expects the segment number in the
        # functional groups of each frame and fails where a single segment shares it.
        referenced_segment=ReferencedSegment(
            sop_class_uid=seg.SOPClassUID,
            sop_instance_uid=seg.SOPInstanceUID,
            segment_number=lesion.number,
            source_series=SourceSeriesForSegmentation(source_series_uid),
        ),
        time_point_context=time_point(report.comparison),
        finding_type=concept(model.finding_type),
        finding_sites=[FindingSite(concept(model.anatomic_region))],
        algorithm_id=algorithm_items(model.segmenter_name, model),
        measurements=_measure(lesion, finding, report, volume) + change_measurements(change),
        qualitative_evaluations=evaluated or None,
    )
    told = [finding.reason] if finding and finding.reason else []
    told += [_tell_prompt(prompt) for prompt in report.prompts_of.get(lesion.number, ())]
    if told:
        _add_comment(group[0], "; ".join(told))
    if change is not None:
        _add_predecessors(group[0], change, lesion.tracking_uid)
    return group


def _tell_prompt(prompt: Prompt) -> str:
    name = f" '{prompt.label}'" if prompt.label else ""
    x, y, z = prompt.point_lps_mm
    return f"pointed at by {prompt.source}{name}, at {x:.1f}, {y:.1f}, {z:.1f} mm (LPS)"


def absent_group(
    report: Report, source_series_uid: str, evaluated: str
) -> MeasurementsAndQualitativeEvaluations:
    """Group that says that nothing was found, and in what (PS3.16 TID 1501).

    Parameters
    ----------
    report : Report
    source_series_uid : str
    evaluated : str
        What was looked at, in words.
    """
    model = report.model
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid("absent", source_series_uid, model.digest),
            identifier=plain_text(f"No {model.finding_type.meaning}", LONG_STRING),
        ),
        finding_type=concept(model.finding_type),
        finding_sites=[FindingSite(concept(model.anatomic_region))],
        algorithm_id=algorithm_items(model.segmenter_name, model),
        qualitative_evaluations=[
            QualitativeEvaluation(concept(codes.PRESENCE), concept(codes.ABSENT))
        ],
    )
    _add_comment(group[0], evaluated)
    return group


def missing_group(change: LesionChange, report: Report) -> MeasurementGroup | None:
    """Group of a lesion that was there before and is no more, or lies outside the images.

    Of the latter it says all that the next examination needs to know it by. Beside groups of
    lesions it refers to its segment in the earlier result (PS3.16 TID 1411): a validator expects
    all groups of a report to be alike. Beside none it needs no region (TID 1501).

    Returns
    -------
    MeasurementGroup or None
        None where the earlier result has no segment to refer to.
    """
    model, comparison = report.model, report.comparison
    assert comparison is not None
    is_gone = change.status is LesionStatus.VANISHED
    told: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(
            uid=change.tracking_uid, identifier=plain_text(change.tracking_id, LONG_STRING)
        ),
        "time_point_context": time_point(comparison),
        "finding_type": concept(model.finding_type),
        "finding_sites": [FindingSite(concept(model.anatomic_region))],
        "algorithm_id": algorithm_items(model.segmenter_name, model),
        "qualitative_evaluations": [
            QualitativeEvaluation(
                concept(codes.PRESENCE), concept(codes.ABSENT if is_gone else codes.UNDETERMINED)
            )
        ],
        "measurements": None if is_gone else place_measurements(change),
    }
    earlier = change.prior_segmentation or comparison.prior.segmentation
    series_uid = change.prior_series_uid or comparison.prior.series_instance_uid
    group: MeasurementGroup
    if not report.segmentation.lesions:
        group = MeasurementsAndQualitativeEvaluations(**told)
    elif earlier is None or change.prior_segment_number is None:
        return None
    else:
        group = VolumetricROIMeasurementsAndQualitativeEvaluations(
            **told,
            referenced_segment=ReferencedSegment(
                sop_class_uid=earlier.sop_class_uid,
                sop_instance_uid=earlier.sop_instance_uid,
                segment_number=change.prior_segment_number,
                source_series=SourceSeriesForSegmentation(series_uid),
            ),
        )
    was = f"{change.volume_before_ml:.3f} ml, long axis {change.long_axis_before_mm:.2f} mm"
    now = "not found in this one" if is_gone else "its place is not within these images"
    _add_comment(group[0], f"Found in the earlier examination ({was}); {now}.")
    _add_predecessors(group[0], change, change.tracking_uid)
    return group


def algorithm_items(name: str, model: ModelIdentity) -> AlgorithmIdentification:
    """Content items that identify one part of a model (PS3.16 TID 4019)."""
    return AlgorithmIdentification(
        name=plain_text(name, LONG_STRING),
        version=plain_text(model.version, LONG_STRING),
        parameters=[plain_text(f"bundle={model.name}", SHORT_TEXT), f"sha256={model.digest}"],
        family=dicom_codes.DCM.ArtificialIntelligence,
        manufacturer=plain_text(model.manufacturer, LONG_STRING),
    )


def _measure(
    lesion: Lesion, finding: Finding | None, report: Report, volume: Volume | None
) -> list[Measurement]:
    measured = [
        number_item(codes.VOLUME, round(lesion.volume_ml, 3), codes.MILLILITRE),
        number_item(codes.LONG_AXIS, round(lesion.long_axis_mm, 2), codes.MILLIMETRE),
        number_item(codes.SHORT_AXIS, round(lesion.short_axis_mm, 2), codes.MILLIMETRE),
        number_item(
            codes.MAXIMUM_3D_DIAMETER, round(lesion.maximum_3d_diameter_mm, 2), codes.MILLIMETRE
        ),
        _percentage(codes.SEGMENTATION_CONFIDENCE, lesion.mean_probability),
    ]
    if volume is not None and volume.modality == "CT":
        mean_hu = float(volume.voxels[report.segmentation.mask_of(lesion)].mean())
        measured.append(
            number_item(
                codes.ATTENUATION, round(mean_hu, 1), codes.HOUNSFIELD, derivation=codes.MEAN
            )
        )
    found = [number for number in measured if number is not None]
    return found + (_classified(finding, report.model) if finding else [])


def _classified(finding: Finding, model: ModelIdentity) -> list[Measurement]:
    """Probabilities of the classifier, and the features that it saw."""
    classifier = AlgorithmIdentification(
        name=plain_text(model.classifier_name, LONG_STRING),
        version=plain_text(model.version, LONG_STRING),
        family=dicom_codes.DCM.ArtificialIntelligence,
    )
    told = [
        _percentage(codes.PROBABILITY_OF_CANCER, finding.malignancy_probability, classifier),
        *(
            _percentage(codes.type_probability_code(name), probability, classifier)
            for name, probability in finding.type_probabilities.items()
        ),
    ]
    numbers = [number for number in told if number is not None]
    return numbers + _measure_features(finding.features, model)


def _measure_features(features: Mapping[str, float], model: ModelIdentity) -> list[Measurement]:
    extractor = AlgorithmIdentification(
        name=plain_text(f"{model.name} radiomics profile (PyRadiomics)", LONG_STRING),
        version=plain_text(model.version, LONG_STRING),
    )
    numbers = (
        number_item(
            codes.feature_code(name), significant(value), codes.feature_unit(name), extractor
        )
        for name, value in features.items()
    )
    return [number for number in numbers if number is not None]


def _percentage(
    name: Code, probability: float | None, algorithm: AlgorithmIdentification | None = None
) -> Measurement | None:
    if probability is None:
        return None
    return number_item(name, round(100 * probability, 1), codes.PERCENT, algorithm)


def _evaluate(finding: Finding) -> list[QualitativeEvaluation]:
    evaluated = [QualitativeEvaluation(concept(codes.MALIGNANCY), concept(finding.assessment))]
    if finding.predicted_type:
        evaluated.append(
            QualitativeEvaluation(
                concept(codes.TUMOUR_TYPE),
                concept(codes.tumour_type_code(finding.predicted_type)),
            )
        )
    return evaluated


def _add_comment(group: Dataset, text: str) -> None:
    group.ContentSequence.append(text_item(codes.COMMENT, text))


def _add_predecessors(group: Dataset, change: LesionChange, tracking_uid: str) -> None:
    """Name the lesions that one comes from under another Tracking UID: it fell off, or took in."""
    for uid in sorted(change.stems - {tracking_uid}):
        group.ContentSequence.append(
            UIDRefContentItem(
                name=concept(codes.PREDECESSOR),
                value=uid,
                relationship_type=RelationshipTypeValues.CONTAINS,
            )
        )
