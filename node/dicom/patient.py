"""The Patient ID of an object, for the audit trail."""

from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

MAXIMUM_CHARACTERS = 64  # PS3.5 section 6.2, VR LO


def read_patient_id(path: Path) -> str:
    """Return the Patient ID of a file; empty if it has none or cannot be read.

    Reads no further than the patient's group.
    """
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
    except (OSError, InvalidDicomError, AttributeError, EOFError, ValueError, NotImplementedError):
        return ""
    return str(header.get("PatientID", "") or "").strip()[:MAXIMUM_CHARACTERS]
