"""Messages as they leave: addressed to one receiver, with what its own settings say.

The file of a result is the same for all receivers; who sends, who receives, and the namespaces that
images do not name, differ.
"""

from typing import Any

from node.config.settings import Hl7

PATIENT_ID_AUTHORITY = 3
"""Component of PID-3, from 0: CX.4."""


def address_oru(text: str, receiver: Hl7) -> str:
    """Return an encoded ORU^R01 with MSH-3 to MSH-6, MSH-11, and PID-3.4 where it is empty.

    Parameters
    ----------
    text : str
        Segments ended by carriage returns, with the usual delimiters.
    receiver : Hl7
    """
    segments = text.split("\r")
    header = segments[0].split("|")
    header[2:6] = [
        receiver.sending_application,
        receiver.sending_facility,
        receiver.receiving_application,
        receiver.receiving_facility,
    ]
    header[10] = receiver.processing_id
    segments[0] = "|".join(header)
    if receiver.assigning_authority:
        segments = [_name_authority(each, receiver.assigning_authority) for each in segments]
    return "\r".join(segments)


def address_bundle(bundle: dict[str, Any], patient_id_system: str) -> dict[str, Any]:
    """Return a Bundle whose references to the patient have a system, where they had none."""
    if patient_id_system:
        for entry in bundle["entry"]:
            identifier = entry["resource"].get("subject", {}).get("identifier", {})
            if identifier and "system" not in identifier:
                identifier["system"] = patient_id_system
    return bundle


def _name_authority(segment: str, authority: str) -> str:
    fields = segment.split("|")
    if fields[0] != "PID" or not fields[3]:
        return segment
    parts = fields[3].split("^")
    parts += [""] * (PATIENT_ID_AUTHORITY + 1 - len(parts))
    parts[PATIENT_ID_AUTHORITY] = parts[PATIENT_ID_AUTHORITY] or authority
    fields[3] = "^".join(parts)
    return "|".join(fields)
