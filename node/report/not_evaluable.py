"""Structured report of a study that was wanted and could not be evaluated: why, and never silence.

References
----------
PS3.16 TID 1500 and TID 1501; the reasons are codes of the DICOM Controlled Terminology where it has
one for them.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentSequence,
    FindingSite,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    RelationshipTypeValues,
    TrackingIdentifier,
)
from highdicom.sr.value_types import ContentItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from node.config.settings import ReportSettings
from node.domain.code import Code
from node.domain.errors import Problem
from node.domain.report import ModelIdentity
from node.report import codes
from node.report.provenance import LONG_STRING, RESEARCH_NOTICE, concept, plain_text
from node.report.sources import complete_headers
from node.report.sr import make_document, observer_of, procedure_of
from node.report.sr_groups import algorithm_items
from node.report.sr_items import text_item
from node.report.uids import derive_uid

NOT_EVALUATED = Code(value="373121007", scheme="SCT", meaning="Not Evaluated")
"""The meaning is that of context group 3703; SNOMED CT's own is "Test not done"."""
REASON = Code(
    value="NOT_EVALUATED_BY", scheme=codes.PRIVATE_SCHEME, meaning="Reason for no evaluation"
)
COVERAGE = Code(value="130576", scheme="DCM", meaning="Anatomy coverage incomplete")
MISSING_IMAGES = Code(value="110523", scheme="DCM", meaning="Object Set incomplete")
INCOMPLETE_STUDY = Code(value="130574", scheme="DCM", meaning="Incomplete study")
WRONG_IMAGES = Code(
    value="WRONG_IMAGES", scheme=codes.PRIVATE_SCHEME, meaning="Not the images that are asked for"
)
GEOMETRY = Code(
    value="GEOMETRY", scheme=codes.PRIVATE_SCHEME, meaning="Geometry of the images is no volume"
)
UNREADABLE = Code(
    value="UNREADABLE", scheme=codes.PRIVATE_SCHEME, meaning="Images that cannot be read"
)
NOT_POINTED_AT = Code(
    value="NOT_POINTED_AT", scheme=codes.PRIVATE_SCHEME, meaning="Nobody points at a lesion"
)

REASON_OF_PROBLEM: Mapping[str, Code] = MappingProxyType(
    {
        **dict.fromkeys(("single-slice", "too-few-slices"), COVERAGE),
        **dict.fromkeys(("missing-slices", "empty-study", "objects-gone"), MISSING_IMAGES),
        "incomplete-study": INCOMPLETE_STUDY,
        **dict.fromkeys(
            (
                "conflicting-instance",
                "duplicate-position",
                "invalid-orientation",
                "missing-orientation",
                "missing-position",
                "mixed-frame-of-reference",
                "mixed-matrix",
                "mixed-orientation",
                "mixed-spacing",
                "role-in-another-frame",
                "uneven-shift",
                "uneven-spacing",
            ),
            GEOMETRY,
        ),
        **dict.fromkeys(
            ("empty-matrix", "missing-uid", "undecodable-pixels", "unreadable-header"), UNREADABLE
        ),
        "nothing-pointed-at": NOT_POINTED_AT,
    }
)
"""Code of a problem -> what the report says; whatever stands not here are the wrong images."""


def build_not_evaluable(
    problems: Sequence[Problem],
    sources: Sequence[Dataset],
    *,
    model: ModelIdentity,
    settings: ReportSettings,
) -> Dataset:
    """Build the report.

    Parameters
    ----------
    problems : sequence of Problem
        Why; at least one.
    sources : sequence of Dataset
        Headers of the images that were wanted, in any order.
    model : ModelIdentity
        What would have evaluated them.
    settings : ReportSettings

    Returns
    -------
    Dataset
        A complete document: that nothing was evaluated is all that there is to say.

    Raises
    ------
    ReportFault
        If the images are neither CT nor MR.
    """
    headers = complete_headers(sources)
    content = MeasurementReport(
        observation_context=observer_of(model),
        procedure_reported=concept(procedure_of(headers[0])),
        imaging_measurements=[_group(problems, str(headers[0].SeriesInstanceUID), model)],
        title=dicom_codes.DCM.ImagingMeasurementReport,
    )
    content[0].ContentSequence.append(_conclusion(problems, len(headers), model))
    return make_document(content, evidence=headers, sources=sources, model=model, settings=settings)


def reasons_of(problems: Sequence[Problem]) -> tuple[Code, ...]:
    """Return the coded reasons, each once, in the order of the problems."""
    found = (REASON_OF_PROBLEM.get(problem.code, WRONG_IMAGES) for problem in problems)
    return tuple(dict.fromkeys(found))


def _group(
    problems: Sequence[Problem], source_series_uid: str, model: ModelIdentity
) -> MeasurementsAndQualitativeEvaluations:
    told = [QualitativeEvaluation(concept(codes.PRESENCE), concept(NOT_EVALUATED))]
    told += [QualitativeEvaluation(concept(REASON), concept(code)) for code in reasons_of(problems)]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=derive_uid("not-evaluated", source_series_uid, model.digest),
            identifier=plain_text(f"{model.finding_type.meaning} not evaluated", LONG_STRING),
        ),
        finding_type=concept(model.finding_type),
        finding_sites=[FindingSite(concept(model.anatomic_region))],
        algorithm_id=algorithm_items(model.segmenter_name, model),
        qualitative_evaluations=told,
    )
    group[0].ContentSequence.append(text_item(codes.COMMENT, _sentence(problems[0])))
    return group


def _conclusion(
    problems: Sequence[Problem], images: int, model: ModelIdentity
) -> ContainerContentItem:
    container = ContainerContentItem(
        name=concept(codes.QUALITATIVE_EVALUATIONS),
        relationship_type=RelationshipTypeValues.CONTAINS,
    )
    sentences = dict.fromkeys(_sentence(problem) for problem in problems)
    received = "1 image was received" if images == 1 else f"{images} images were received"
    nothing = f"nothing is said about {model.finding_type.meaning}"
    texts = (
        f"NOT EVALUATED: {nothing}. {received}.",
        *sentences,
        f"AI result for {RESEARCH_NOTICE}; not verified by a person.",
    )
    items: list[ContentItem] = [
        CodeContentItem(
            name=concept(codes.PRESENCE),
            value=concept(NOT_EVALUATED),
            relationship_type=RelationshipTypeValues.CONTAINS,
        ),
        *(text_item(codes.COMMENT, text) for text in texts),
    ]
    container.ContentSequence = ContentSequence(items)
    return container


def _sentence(problem: Problem) -> str:
    return f"{problem.code}: found {problem.found}; expected {problem.expected}."
