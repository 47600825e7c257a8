"""Whom and what the report is about, from the header of a source image."""

from dataclasses import dataclass
from datetime import date, datetime

from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from node.dicom.text import as_text
from node.language import Words
from node.report.lettering import is_drawable


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Patient and study as a reader wants to see them; empty where the header tells nothing."""

    name: str
    patient_id: str
    birth_date: str
    sex: str
    accession_number: str
    study_date: str
    study: str
    series: str


def read_identity(header: Dataset, words: Words) -> Identity:
    """Read the identity from a header, in the character set that it names.

    Parameters
    ----------
    header : Dataset
        Of a source image, as it was read.
    words : Words
        For dates and sex.
    """
    sexes = {"M": words.gettext("male"), "F": words.gettext("female"), "O": words.gettext("other")}

    def text_of(keyword: str) -> str:
        return as_text(header.get(keyword))

    told = (text_of(each) for each in ("Modality", "SeriesNumber", "SeriesDescription"))
    return Identity(
        name=tell_name(header.get("PatientName")),
        patient_id=text_of("PatientID"),
        birth_date=_tell_date(header.get("PatientBirthDate"), words),
        sex=sexes.get(text_of("PatientSex"), ""),
        accession_number=text_of("AccessionNumber"),
        study_date=_tell_date(header.get("StudyDate"), words),
        study=text_of("StudyDescription"),
        series=" ".join(part for part in told if part),
    )


def tell_name(name: PersonName | str | None) -> str:
    """Return a name as it is said: characters first, with the letters in brackets.

    References
    ----------
    PS3.5 section 6.2.1 (component groups of PN: alphabetic, ideographic, phonetic).
    """
    if not name:
        return ""
    groups = (*as_text(name).split("="), "")
    letters, characters = map(_order, groups[:2])
    if characters and is_drawable(characters):
        return f"{characters} ({letters})" if letters else characters
    return letters or characters


def _order(group: str) -> str:
    """Put the components of a group in the order in which they are read."""
    family, given, middle, prefix, suffix = (*group.split("^"), *[""] * 5)[:5]
    if any(ord(sign) > 0x2E7F for sign in group):  # Chinese, Japanese, Korean: family name first
        return "".join(part.strip() for part in (family, given, middle))
    told = " ".join(part.strip() for part in (prefix, given, middle, suffix) if part.strip())
    return ", ".join(part for part in (family.strip(), told) if part)


def _tell_date(value: object, words: Words) -> str:
    text = str(value or "").replace(".", "")
    try:
        day: date = datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return text
    return words.date(day)
