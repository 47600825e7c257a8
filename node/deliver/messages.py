"""Messages as they leave: addressed to one receiver, each with its own outcome.

The file of a result is the same for all receivers; who sends, who receives, and the namespaces that
images do not name, differ.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from node.config.settings import Hl7, Peer
from node.deliver.c_store import SendOutcome, log_outcome
from node.deliver.status import PROCESSING_FAILURE, Verdict
from node.domain.errors import TryLater
from node.jobs.job import UNREADABLE

NULL = '""'
"""In PID-3: the patient has no number (HL7 v2.5.1 chapter 2.5.3)."""
PATIENT_ID_AUTHORITY = 3
"""Component of PID-3, from 0: CX.4."""
SendOne = Callable[[bytes], tuple[Verdict, str]]
"""Takes the content of a file; tells what comes next, and why, in words without patient text.

Raises ``TryLater`` where the receiver cannot be reached, ``ValueError`` and its like where the
content is no such message.
"""


def send_each(
    paths: Sequence[Path],
    send: SendOne,
    *,
    peer: Peer,
    on_outcome: Callable[[SendOutcome], None],
    wanted: Callable[[Path], bool],
) -> tuple[SendOutcome, ...]:
    """Send files one by one; see ``node.deliver.c_store.send_objects`` for the parameters.

    Raises
    ------
    TryLater
        If the peer cannot be reached for the first one.
    """
    outcomes: list[SendOutcome] = []
    for path in paths:
        if not wanted(path):
            continue
        try:
            verdict, detail = send(path.read_bytes())
        except TryLater as reason:
            if not outcomes:
                raise
            verdict, detail = Verdict.RETRY, str(reason)
        except (OSError, ValueError, LookupError) as error:
            verdict, detail = Verdict.GIVE_UP, f"{UNREADABLE}: {type(error).__name__}"
        outcome = SendOutcome(
            path=path,
            sop_instance_uid="",
            status=0 if verdict is Verdict.ACCEPTED else PROCESSING_FAILURE,
            accepted=verdict is Verdict.ACCEPTED,
            retry=verdict is Verdict.RETRY,
            detail=detail,
        )
        outcomes.append(outcome)
        log_outcome(peer, outcome)
        on_outcome(outcome)
    return tuple(outcomes)


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
    if fields[0] != "PID" or fields[3] in ("", NULL):
        return segment
    parts = fields[3].split("^")
    parts += [""] * (PATIENT_ID_AUTHORITY + 1 - len(parts))
    parts[PATIENT_ID_AUTHORITY] = parts[PATIENT_ID_AUTHORITY] or authority
    fields[3] = "^".join(parts)
    return "|".join(fields)
