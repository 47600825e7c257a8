"""Whom and which order a result is about, as the headers of the images say.

References
----------
PS3.3 C.2.2 (issuer of the Patient ID), C.4.11 and C.4.12 (numbers of the order), PS3.5 6.2.1
(names of persons in up to three groups).
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from pydicom.dataset import Dataset

from node.dicom.text import as_text

ZONE = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)")
"""PS3.3 C.12.1: -1200 to +1400."""
FIRST_YEAR = 1000
"""Of dates that are told; nobody was born or imaged before."""
NAME_GROUPS = ("alphabetic", "ideographic", "phonetic")


@dataclass(frozen=True, kw_only=True)
class Issuer:
    """Who gave a number; all empty where that is not told.

    Parameters
    ----------
    namespace : str
        Local name.
    universal_id, universal_type : str
        Such as an OID and ``ISO``.
    """

    namespace: str = ""
    universal_id: str = ""
    universal_type: str = ""


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number with its issuer; empty where there is none."""

    value: str = ""
    issuer: Issuer = Issuer()


@dataclass(frozen=True, kw_only=True)
class StudyAbout:
    """What a receiver finds its patient and its order by.

    Parameters
    ----------
    patient_id : Number
    names : mapping of str to tuple of str
        Group of the name (of ``NAME_GROUPS``) -> family, given, middle, prefix, suffix.
    birth_date, sex : str
        As in the headers; empty where they are not of the form that DICOM asks for.
    accession, placer_order, filler_order : Number
    study_instance_uid, series_instance_uid : str
    modality, description : str
    study_date : date or None
    study_moment : datetime or None
        With a time zone where the headers name one; None without a time.
    """

    patient_id: Number
    names: dict[str, tuple[str, ...]]
    birth_date: str
    sex: str
    accession: Number
    placer_order: Number
    filler_order: Number
    study_instance_uid: str
    series_instance_uid: str
    modality: str
    description: str
    study_date: date | None
    study_moment: datetime | None


def read_about(header: Dataset) -> StudyAbout:
    """Read it from the header of an image."""
    return StudyAbout(
        patient_id=_patient_id(header),
        names=_names(header),
        birth_date=_text(header, "PatientBirthDate") if _date(header, "PatientBirthDate") else "",
        sex=_text(header, "PatientSex", r"[MFO]"),
        accession=_number(header, "AccessionNumber", "IssuerOfAccessionNumberSequence"),
        placer_order=_number(
            header, "PlacerOrderNumberImagingServiceRequest", "OrderPlacerIdentifierSequence"
        ),
        filler_order=_number(
            header, "FillerOrderNumberImagingServiceRequest", "OrderFillerIdentifierSequence"
        ),
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        modality=_text(header, "Modality"),
        description=_text(header, "StudyDescription"),
        study_date=_date(header, "StudyDate"),
        study_moment=_moment(header),
    )


def _text(header: Dataset, keyword: str, pattern: str = ".*") -> str:
    text = " ".join(as_text(header.get(keyword)).split())
    return text if re.fullmatch(pattern, text) else ""


def _number(header: Dataset, keyword: str, issuer: str) -> Number:
    """Return a number of the study, or else of the request of the procedure step."""
    requests = [header, *(header.get("RequestAttributesSequence") or [])]
    for each in requests:
        value = _text(each, keyword)
        if value:
            return Number(value=value, issuer=_issuer(next(iter(each.get(issuer) or []), None)))
    return Number()


def _issuer(item: Dataset | None) -> Issuer:
    if item is None:
        return Issuer()
    return Issuer(
        namespace=_text(item, "LocalNamespaceEntityID"),
        universal_id=_text(item, "UniversalEntityID"),
        universal_type=_text(item, "UniversalEntityIDType"),
    )


def _patient_id(header: Dataset) -> Number:
    qualifiers = next(iter(header.get("IssuerOfPatientIDQualifiersSequence") or []), None)
    universal = _issuer(qualifiers)
    return Number(
        value=_text(header, "PatientID"),
        issuer=Issuer(
            namespace=_text(header, "IssuerOfPatientID"),
            universal_id=universal.universal_id,
            universal_type=universal.universal_type,
        ),
    )


def _names(header: Dataset) -> dict[str, tuple[str, ...]]:
    groups = zip(NAME_GROUPS, as_text(header.get("PatientName")).split("="), strict=False)
    return {
        group: tuple(part.strip() for part in text.split("^")[:5])
        for group, text in groups
        if text.strip("^ ")
    }


def _date(header: Dataset, keyword: str) -> date | None:
    """Return a day; None for none, and for what stands in its place (19450000, 00010101)."""
    try:
        day = datetime.strptime(_text(header, keyword, r"\d{8}"), "%Y%m%d").date()
    except ValueError:
        return None
    return day if day.year >= FIRST_YEAR else None


def _moment(header: Dataset) -> datetime | None:
    day, time = _date(header, "StudyDate"), _text(header, "StudyTime", r"\d{6}(\.\d{1,6})?")
    if day is None or not time:
        return None
    try:
        moment = datetime.strptime(time[:6], "%H%M%S")
    except ValueError:
        return None
    moment = moment.replace(year=day.year, month=day.month, day=day.day)
    offset = ZONE.fullmatch(_text(header, "TimezoneOffsetFromUTC"))
    if offset is None:
        return moment
    shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
    return moment.replace(tzinfo=timezone(-shift if offset[1] == "-" else shift))
