"""Whom an object is about: the Patient ID for the audit trail, more for people who may see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom.text import as_text

PATIENT_ID = 0x00100020
PATIENT_SEX = 0x00100040
MAXIMUM_CHARACTERS = 64  # PS3.5 section 6.2, VR LO

_IDENTITY = {
    "SpecificCharacterSet": 0x00080005,
    "StudyDate": 0x00080020,
    "AccessionNumber": 0x00080050,
    "StudyDescription": 0x00081030,
    "PatientName": 0x00100010,
    "PatientID": PATIENT_ID,
    "IssuerOfPatientID": 0x00100021,
    "PatientBirthDate": 0x00100030,
    "PatientSex": PATIENT_SEX,
}


@dataclass(frozen=True, kw_only=True)
class StudyIdentity:
    """Whom and what a study is about, as its headers say; empty where they do not.

    Parameters
    ----------
    patient_id, patient_name, birth_date, sex : str
        The name as written, components parted by ``^``; the date as YYYYMMDD.
    accession_number, study_date, description : str
    issuer : str
        Of the Patient ID: which hospital gave it.
    """

    patient_id: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    accession_number: str = ""
    study_date: str = ""
    description: str = ""
    issuer: str = ""


def read_patient_id(path: Path) -> str:
    """Return the Patient ID of a file; empty if it has none or cannot be read.

    Reads no further than that element. Deflated objects are left out: pydicom would inflate all of
    one, however large.
    """
    return _read_texts(path, {"PatientID": PATIENT_ID}).get("PatientID", "")


def read_identity(path: Path) -> StudyIdentity:
    """Return whom and what an object is about; all empty if it cannot be read.

    Reads no further than the patient's sex, and nothing of deflated objects.
    """
    texts = _read_texts(path, _IDENTITY)
    return StudyIdentity(
        patient_id=texts.get("PatientID", ""),
        patient_name=texts.get("PatientName", ""),
        birth_date=texts.get("PatientBirthDate", ""),
        sex=texts.get("PatientSex", ""),
        accession_number=texts.get("AccessionNumber", ""),
        study_date=texts.get("StudyDate", ""),
        description=texts.get("StudyDescription", ""),
        issuer=texts.get("IssuerOfPatientID", ""),
    )


def _read_texts(path: Path, wanted: Mapping[str, int]) -> dict[str, str]:
    """Keyword -> text of the wanted elements that there are."""
    last = max(wanted.values())
    try:
        meta = read_file_meta_info(path)
        if meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
            return {}
        with path.open("rb") as file:
            header = read_partial(
                file,
                stop_when=lambda tag, _vr, _length: tag > last,
                specific_tags=[BaseTag(tag) for tag in wanted.values()],
            )
        found = {keyword: as_text(header.get(keyword)).strip() for keyword in wanted}
    except (OSError, InvalidDicomError, AttributeError, EOFError, ValueError, LookupError):
        return {}
    return {keyword: text[:MAXIMUM_CHARACTERS] for keyword, text in found.items() if text}
