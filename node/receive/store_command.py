"""The C-STORE command sets: the request as it is read, the response as it is written.

References
----------
PS3.7 section 6.3.1 (implicit VR little endian, group 0000), tables 9.3-1 and 9.3-2.
PS3.8 section 9.3.5 and annex E (P-DATA-TF with one message fragment).
"""

import struct
from dataclasses import dataclass

AFFECTED_SOP_CLASS = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_RESPONDED_TO = 0x0120
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
OFFENDING_ELEMENT = 0x0901
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE = 0x1000

C_STORE_REQUEST = 0x0001
C_STORE_RESPONSE = 0x8001
NO_DATA_SET = 0x0101
P_DATA_TF = 0x04
LAST_COMMAND_FRAGMENT = 0x03

_ELEMENT = struct.Struct("<HHL")
_NUMBER = struct.Struct("<H")


@dataclass(frozen=True, kw_only=True)
class StoreRequest:
    """A C-STORE request without its data set.

    Parameters
    ----------
    context_id : int
        Presentation context that it came in.
    message_id : int
    sop_class_uid, sop_instance_uid : str
        The affected ones, as sent: they may be empty or no UIDs.
    has_data_set : bool
    """

    context_id: int
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    has_data_set: bool


@dataclass(frozen=True, kw_only=True)
class StoreAnswer:
    """What a C-STORE response says.

    Parameters
    ----------
    status : int
    comment : str
        Error comment, at most 64 ASCII characters; empty for none.
    offending : tuple of int
        Tags of the elements at fault.
    """

    status: int
    comment: str = ""
    offending: tuple[int, ...] = ()


def read_request(context_id: int, command: bytes) -> StoreRequest | None:
    """Read a command set; None if it is no C-STORE request.

    Raises
    ------
    ValueError
        The bytes are no command set, or the message has no ID to answer to.
    """
    values = _read_elements(command)
    if _number(values, COMMAND_FIELD) != C_STORE_REQUEST:
        return None
    message_id = _number(values, MESSAGE_ID)
    if message_id is None:
        raise ValueError("a C-STORE request without message ID")
    return StoreRequest(
        context_id=context_id,
        message_id=message_id,
        sop_class_uid=_uid(values, AFFECTED_SOP_CLASS),
        sop_instance_uid=_uid(values, AFFECTED_SOP_INSTANCE),
        has_data_set=_number(values, DATA_SET_TYPE) != NO_DATA_SET,
    )


def write_response(request: StoreRequest, answer: StoreAnswer) -> bytes:
    """Return the P-DATA-TF PDU with the response to a request."""
    elements = [
        (AFFECTED_SOP_CLASS, _padded(request.sop_class_uid, b"\0")),
        (COMMAND_FIELD, _NUMBER.pack(C_STORE_RESPONSE)),
        (MESSAGE_ID_RESPONDED_TO, _NUMBER.pack(request.message_id)),
        (DATA_SET_TYPE, _NUMBER.pack(NO_DATA_SET)),
        (STATUS, _NUMBER.pack(answer.status)),
    ]
    if answer.offending:
        tags = (struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in answer.offending)
        elements.append((OFFENDING_ELEMENT, b"".join(tags)))
    if answer.comment:
        elements.append((ERROR_COMMENT, _padded(answer.comment, b" ")))
    elements.append((AFFECTED_SOP_INSTANCE, _padded(request.sop_instance_uid, b"\0")))
    body = b"".join(_ELEMENT.pack(0, tag, len(value)) + value for tag, value in elements)
    group_length = _ELEMENT.pack(0, 0, 4) + struct.pack("<L", len(body))
    fragment = bytes((request.context_id, LAST_COMMAND_FRAGMENT)) + group_length + body
    item = struct.pack(">L", len(fragment)) + fragment
    return struct.pack(">BBL", P_DATA_TF, 0, len(item)) + item


def _read_elements(command: bytes) -> dict[int, bytes]:
    values, position = {}, 0
    while position < len(command):
        if position + _ELEMENT.size > len(command):
            raise ValueError("a command set that ends within an element")
        group, number, length = _ELEMENT.unpack_from(command, position)
        position += _ELEMENT.size
        if group != 0 or position + length > len(command):
            raise ValueError("bytes that are no command set")
        values[number] = command[position : position + length]
        position += length
    return values


def _number(values: dict[int, bytes], tag: int) -> int | None:
    value = values.get(tag, b"")
    return int(_NUMBER.unpack(value)[0]) if len(value) == _NUMBER.size else None


def _uid(values: dict[int, bytes], tag: int) -> str:
    return values.get(tag, b"").decode("ascii", "replace").strip(" \0")


def _padded(text: str, padding: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + padding if len(value) % 2 else value
