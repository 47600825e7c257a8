"""The Patient ID of an object, for the audit trail."""

from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

PATIENT_ID = 0x00100020
MAXIMUM_CHARACTERS = 64  # PS3.5 section 6.2, VR LO


def read_patient_id(path: Path) -> str:
    """Return the Patient ID of a file; empty if it has none or cannot be read.

    Reads no further than that element. Deflated objects are left out: pydicom would inflate all of
    one, however large.
    """
    try:
        meta = read_file_meta_info(path)
        if meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
            return ""
        with path.open("rb") as file:
            header = read_partial(file, stop_when=_is_behind, specific_tags=[BaseTag(PATIENT_ID)])
        return str(header.get("PatientID", "") or "").strip()[:MAXIMUM_CHARACTERS]
    except (OSError, InvalidDicomError, AttributeError, EOFError, ValueError, LookupError):
        return ""


def _is_behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag > PATIENT_ID
