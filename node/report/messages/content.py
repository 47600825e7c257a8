"""What a message tells, whatever its form: statements with the codes and units of the SR.

The radiomics features stay in the SR: nobody reads some hundred numbers in a RIS.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from node.domain.code import Code
from node.domain.finding import Finding
from node.domain.prior import LesionChange
from node.domain.report import Evidence, EvidenceKind, Report
from node.domain.segmentation import Lesion
from node.domain.triage import Flag
from node.domain.uid import derive_uid
from node.report import codes
from node.report.messages.about import StudyAbout
from node.report.provenance import RESEARCH_NOTICE, plain_text
from node.report.sr_change import (
    change_evaluations,
    change_measurements,
    response_items,
    tell_comparison,
)

STUDY_UID = Code(value="110180", scheme="DCM", meaning="Study Instance UID")
TRACKING_ID = Code(value="112039", scheme="DCM", meaning="Tracking Identifier")
TRACKING_UID = Code(value="112040", scheme="DCM", meaning="Tracking Unique Identifier")
FINDING = Code(value="121071", scheme="DCM", meaning="Finding")
FINDING_SITE = Code(value="363698007", scheme="SCT", meaning="Finding Site")
CONCLUSION = Code(value="121077", scheme="DCM", meaning="Conclusion")
PRESENT = Code(value="52101004", scheme="SCT", meaning="Present")


def _own(value: str, meaning: str) -> Code:
    return Code(value=value, scheme=codes.PRIVATE_SCHEME, meaning=meaning)


REASON = _own("REASON", "Reason of the assessment")
TRIAGE = _own("TRIAGE", "Triage flag")
REPORT_UID = _own("REPORT_UID", "SOP Instance UID of the structured report")
NO_FLAG = _own("NO_FLAG", "No flag")
EARLIER_STUDY = _own("EARLIER_STUDY", "Study Instance UID of the earlier examination")

FLAGS = {
    Flag.LIKELY_MALIGNANT: _own("LIKELY_MALIGNANT", "Likely malignant"),
    Flag.GROWING: _own("GROWING", "Growing"),
    Flag.NEW_LESION: _own("NEW_LESION", "New lesion"),
}


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing that is told.

    Parameters
    ----------
    code : Code
        Of what.
    value : float, Code or str
        A number, a coded value, or text (UIDs, too).
    unit : Code or None
        UCUM, of a number.
    is_abnormal : bool
        Whether it made triage raise a flag.
    """

    code: Code
    value: float | Code | str
    unit: Code | None = None
    is_abnormal: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    """What is told of one lesion.

    Parameters
    ----------
    number : int
    tracking_uid : str
    statements : tuple of Statement
    """

    number: int
    tracking_uid: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True, kw_only=True)
class Told:
    """A result as messages tell it.

    Parameters
    ----------
    about : StudyAbout
    procedure : Code
        What kind of examination it was, as in the SR.
    statements : tuple of Statement
        Of the study as a whole.
    groups : tuple of Group
        Of each lesion, by number.
    conclusion : str
        In a few words.
    notes : tuple of str
        Research use first, then what a reader should know.
    result_uid : str
        The same for each evaluation of this study by models of this name: what a later one takes
        the place of.
    device_uid, device : str
        The model, as an identifier and in words.
    region : Code
    """

    about: StudyAbout
    procedure: Code
    statements: tuple[Statement, ...]
    groups: tuple[Group, ...]
    conclusion: str
    notes: tuple[str, ...]
    result_uid: str
    device_uid: str
    device: str
    region: Code

    def name(self, *parts: str) -> str:
        """Return the UID of a part of the result; the same for each evaluation."""
        return derive_uid(self.result_uid, *parts)


def tell(report: Report, about: StudyAbout, evidence: tuple[Evidence, ...]) -> Told:
    """Return what messages tell of a report.

    Parameters
    ----------
    report : Report
    about : StudyAbout
    evidence : tuple of Evidence
        What was written of the same report; the SR is named.
    """
    model = report.model
    findings = {finding.lesion_number: finding for finding in report.findings}
    return Told(
        about=about,
        procedure=codes.PROCEDURES.get(about.modality, codes.PROCEDURES["MR"]),
        statements=tuple(_of_study(report, about, evidence)),
        groups=tuple(
            _of_lesion(report, lesion, findings.get(lesion.number))
            for lesion in report.segmentation.lesions
        ),
        conclusion=_conclude(report),
        notes=tuple(_notes(report)),
        result_uid=derive_uid("message", about.study_instance_uid, model.name),
        device_uid=model.device_uid,
        device=f"{model.manufacturer} {model.name} {model.version}",
        region=model.anatomic_region,
    )


def _of_study(
    report: Report, about: StudyAbout, evidence: tuple[Evidence, ...]
) -> Iterator[Statement]:
    has_lesions = bool(report.segmentation.lesions)
    yield Statement(code=STUDY_UID, value=about.study_instance_uid)
    for item in evidence:
        if item.kind is EvidenceKind.SR:
            yield Statement(code=REPORT_UID, value=item.sop_instance_uid)
    yield Statement(code=FINDING, value=report.model.finding_type)
    yield Statement(code=FINDING_SITE, value=report.model.anatomic_region)
    yield Statement(code=codes.PRESENCE, value=PRESENT if has_lesions else codes.ABSENT)
    for flag in report.triage.flags:
        yield Statement(code=TRIAGE, value=FLAGS[flag], is_abnormal=True)
    if not report.triage.is_flagged:
        yield Statement(code=TRIAGE, value=NO_FLAG)
    if report.comparison is not None:
        yield Statement(code=EARLIER_STUDY, value=report.comparison.prior.study_instance_uid)
        for answered in response_items(report.comparison):
            yield _statement_of(answered)
    yield Statement(code=CONCLUSION, value=_conclude(report))


def _of_lesion(report: Report, lesion: Lesion, finding: Finding | None) -> Group:
    flags = report.triage.flags_of(lesion.number)
    change = report.comparison.change_of(lesion.number) if report.comparison else None
    told = [
        Statement(code=TRACKING_ID, value=lesion.tracking_id),
        Statement(code=TRACKING_UID, value=lesion.tracking_uid),
        Statement(code=FINDING, value=report.model.finding_type),
        Statement(code=FINDING_SITE, value=report.model.anatomic_region),
        Statement(
            code=codes.VOLUME,
            value=round(lesion.volume_ml, 3),
            unit=codes.MILLILITRE,
            is_abnormal=Flag.GROWING in flags,
        ),
        Statement(
            code=codes.LONG_AXIS,
            value=round(lesion.long_axis_mm, 2),
            unit=codes.MILLIMETRE,
            is_abnormal=Flag.NEW_LESION in flags,
        ),
        Statement(
            code=codes.SHORT_AXIS, value=round(lesion.short_axis_mm, 2), unit=codes.MILLIMETRE
        ),
        Statement(
            code=codes.MAXIMUM_3D_DIAMETER,
            value=round(lesion.maximum_3d_diameter_mm, 2),
            unit=codes.MILLIMETRE,
        ),
    ]
    if finding is not None:
        told += _of_finding(finding, is_flagged=Flag.LIKELY_MALIGNANT in flags)
    if change is not None:
        told += _of_change(change, flags)
    told += [Statement(code=TRIAGE, value=FLAGS[flag], is_abnormal=True) for flag in flags]
    return Group(
        number=lesion.number,
        tracking_uid=lesion.tracking_uid,
        statements=tuple(each for each in told if _is_sound(each)),
    )


def _of_finding(finding: Finding, *, is_flagged: bool) -> Iterator[Statement]:
    if finding.malignancy_probability is not None:
        yield Statement(
            code=codes.PROBABILITY_OF_CANCER,
            value=round(100 * finding.malignancy_probability, 1),
            unit=codes.PERCENT,
            is_abnormal=is_flagged,
        )
    yield Statement(code=codes.MALIGNANCY, value=finding.assessment, is_abnormal=is_flagged)
    if finding.reason:
        yield Statement(code=REASON, value=finding.reason)
    if finding.predicted_type:
        yield Statement(
            code=codes.TUMOUR_TYPE, value=codes.tumour_type_code(finding.predicted_type)
        )


def _of_change(change: LesionChange, flags: tuple[Flag, ...]) -> Iterator[Statement]:
    """What the SR says of the change, item by item."""
    marked = {
        codes.VOLUME_CHANGE: Flag.GROWING in flags,
        codes.DOUBLING_TIME: Flag.GROWING in flags,
        codes.CHANGE: bool({Flag.GROWING, Flag.NEW_LESION} & set(flags)),
    }
    for item in (*change_measurements(change), *change_evaluations(change)):
        statement = _statement_of(item[0])
        yield replace(statement, is_abnormal=marked.get(statement.code, False))


def _statement_of(item: Dataset) -> Statement:
    """Return what a content item of an SR says: a number or a code."""
    name = _code_of(item.ConceptNameCodeSequence[0])
    if item.ValueType == "CODE":
        return Statement(code=name, value=_code_of(item.ConceptCodeSequence[0]))
    measured = item.MeasuredValueSequence[0]
    unit = _code_of(measured.MeasurementUnitsCodeSequence[0])
    return Statement(code=name, value=float(measured.NumericValue), unit=unit)


def _code_of(item: Dataset) -> Code:
    return Code(
        value=str(item.CodeValue),
        scheme=str(item.CodingSchemeDesignator),
        meaning=str(item.CodeMeaning),
    )


def _is_sound(statement: Statement) -> bool:
    return not isinstance(statement.value, float) or math.isfinite(statement.value)


def _conclude(report: Report) -> str:
    count, model = len(report.segmentation.lesions), report.model
    what = f"{model.finding_type.meaning.lower()}, {model.anatomic_region.meaning.lower()}"
    found = f"{count} lesion{'s' if count > 1 else ''} ({what})" if count else f"No {what} found"
    flags = ", ".join(flag.value for flag in report.triage.flags)
    return plain_text(f"{found}. Triage: {flags or 'no flag'}. AI, {RESEARCH_NOTICE}.", 1024)


def _notes(report: Report) -> Iterator[str]:
    yield f"Made by AI: {RESEARCH_NOTICE}. Preliminary, not verified by a person."
    yield report.model.limitations
    if report.completeness.is_partial:
        yield f"Images: {report.completeness}"
    yield from report.completeness.limitations
    yield from report.remarks
    for each in report.triage.raised:
        yield f"Lesion {each.lesion_number}: {each.flag.value}, {each.reason}"
    if report.comparison is not None:
        yield from tell_comparison(report.comparison)
