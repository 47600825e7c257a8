"""An audit message as XML, in the schema of PS3.15 A.5.1.

References
----------
PS3.15 A.5.1 (schema), A.5.2 (conventions).
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from xml.etree.ElementTree import Element, SubElement, tostring

from node.domain.code import Code


class Outcome(StrEnum):
    """EventOutcomeIndicator."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"
    SERIOUS_FAILURE = "8"
    MAJOR_FAILURE = "12"


class Action(StrEnum):
    """EventActionCode."""

    CREATE = "C"
    READ = "R"
    UPDATE = "U"
    DELETE = "D"
    EXECUTE = "E"


@dataclass(frozen=True, kw_only=True)
class Participant:
    """Who took part in an event: a process, a person, a peer.

    Parameters
    ----------
    user_id : str
        AE title, process id, or name of a person.
    role : Code, optional
    is_requestor : bool
        At most one participant of a message has started it.
    alternative_user_id : str, optional
        ``AETITLES=A;B`` of a process (PS3.15 A.5.2.2).
    address : str, optional
        IP address or host name.
    """

    user_id: str
    role: Code | None = None
    is_requestor: bool = False
    alternative_user_id: str = ""
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class ParticipantObject:
    """What an event was about: a study, a patient, a file.

    Parameters
    ----------
    object_id, name : str
        The schema demands both.
    id_type : Code
        What kind of identifier ``object_id`` is.
    type_code, role : str, optional
        ParticipantObjectTypeCode and ParticipantObjectTypeCodeRole.
    life_cycle : str, optional
        ParticipantObjectDataLifeCycle.
    details : mapping of str to str
        Encoded as base64, as the schema has it.
    instances : mapping of str to int
        SOP Class UID -> number of instances, of a study.
    """

    object_id: str
    name: str
    id_type: Code
    type_code: str = ""
    role: str = ""
    life_cycle: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    instances: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AuditMessage:
    """One event.

    Parameters
    ----------
    event : Code
    action : Action
    outcome : Outcome
    participants : tuple of Participant
        At least one.
    objects : tuple of ParticipantObject
    event_type : Code, optional
    outcome_description : str, optional
    """

    event: Code
    action: Action
    participants: tuple[Participant, ...]
    objects: tuple[ParticipantObject, ...] = ()
    outcome: Outcome = Outcome.SUCCESS
    event_type: Code | None = None
    outcome_description: str = ""


APPLICATION_SERVER = "4"
"""AuditSourceTypeCode: application server process."""

# Characters that no XML 1.0 document may hold, not even escaped; AE titles come from the network.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def encode_message(message: AuditMessage, *, source_id: str, at: datetime) -> str:
    """Return the message as one line of XML without declaration.

    Parameters
    ----------
    message : AuditMessage
    source_id : str
        AuditSourceID: who reports, i.e. this node.
    at : datetime
        EventDateTime, aware.
    """
    root = Element("AuditMessage")
    event = SubElement(
        root,
        "EventIdentification",
        EventActionCode=message.action.value,
        EventDateTime=at.astimezone(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=message.outcome.value,
    )
    _add_code(event, "EventID", message.event)
    if message.event_type is not None:
        _add_code(event, "EventTypeCode", message.event_type)
    if message.outcome_description:
        text = SubElement(event, "EventOutcomeDescription")
        text.text = _clean(message.outcome_description)
    for participant in message.participants:
        _add_participant(root, participant)
    source = SubElement(root, "AuditSourceIdentification", AuditSourceID=_clean(source_id))
    SubElement(source, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
    for item in message.objects:
        _add_object(root, item)
    return tostring(root, encoding="unicode").replace("\n", "&#10;")


def _add_code(parent: Element, name: str, code: Code) -> None:
    attributes = {
        "csd-code": code.value,
        "codeSystemName": code.scheme,
        "originalText": code.meaning,
    }
    SubElement(parent, name, attributes)


def _add_participant(root: Element, participant: Participant) -> None:
    attributes = {"UserID": _clean(participant.user_id)}
    if participant.alternative_user_id:
        attributes["AlternativeUserID"] = _clean(participant.alternative_user_id)
    attributes["UserIsRequestor"] = str(participant.is_requestor).lower()
    if participant.address:
        is_ip = participant.address.replace(".", "").isdigit() or ":" in participant.address
        attributes["NetworkAccessPointID"] = _clean(participant.address)
        attributes["NetworkAccessPointTypeCode"] = "2" if is_ip else "1"
    element = SubElement(root, "ActiveParticipant", attributes)
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role)


def _add_object(root: Element, item: ParticipantObject) -> None:
    given = {
        "ParticipantObjectID": _clean(item.object_id),
        "ParticipantObjectTypeCode": item.type_code,
        "ParticipantObjectTypeCodeRole": item.role,
        "ParticipantObjectDataLifeCycle": item.life_cycle,
    }
    attributes = {name: value for name, value in given.items() if value}
    element = SubElement(root, "ParticipantObjectIdentification", attributes)
    _add_code(element, "ParticipantObjectIDTypeCode", item.id_type)
    SubElement(element, "ParticipantObjectName").text = _clean(item.name)
    for kind, value in item.details.items():
        encoded = b64encode(value.encode("utf-8", "backslashreplace")).decode("ascii")
        SubElement(element, "ParticipantObjectDetail", {"type": kind, "value": encoded})
    if item.instances:
        description = SubElement(element, "ParticipantObjectDescription")
        for uid, count in sorted(item.instances.items()):
            attributes = {"UID": _clean(uid), "NumberOfInstances": str(count)}
            SubElement(description, "SOPClass", attributes)


def _clean(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
