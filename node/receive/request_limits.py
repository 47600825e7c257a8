"""What an association request may ask for, counted before it is decoded.

A request of a megabyte may hold a quarter of a million items, each of which becomes an object.

References
----------
PS3.8 sections 9.3.2 (A-ASSOCIATE-RQ), 7.1.1.13 (at most 128 presentation contexts).
"""

import struct
from collections.abc import Iterator

REQUEST_TYPE = 0x01
MAXIMUM_CONTEXTS = 128
MAXIMUM_SYNTAXES = 128
"""In one presentation context; the standard has about 60 transfer syntaxes."""
MAXIMUM_USER_ITEMS = 512
"""Sub-items of the user information: roles and extended negotiation of each class, for example."""

_FIXED_BYTES = 68  # protocol version, AE titles, reserved
_CONTEXT, _USER_INFORMATION = 0x20, 0x50
_CONTEXT_ID_BYTES = 4
_ITEM = struct.Struct(">BxH")


def too_much_in(body: bytes | bytearray) -> str:
    """Return in words what an A-ASSOCIATE-RQ has too much of; empty if it is within the limits.

    Parameters
    ----------
    body : bytes
        After the PDU's header. What is damaged is left to who decodes it.
    """
    contexts = 0
    for kind, start, end in _items(body, _FIXED_BYTES, len(body)):
        if kind == _CONTEXT:
            contexts += 1
            if contexts > MAXIMUM_CONTEXTS:
                return f"more than {MAXIMUM_CONTEXTS} presentation contexts"
            inner = _count(body, start + _CONTEXT_ID_BYTES, end, MAXIMUM_SYNTAXES + 1)
            if inner > MAXIMUM_SYNTAXES + 1:  # the abstract syntax is one of them
                return f"more than {MAXIMUM_SYNTAXES} transfer syntaxes in a presentation context"
        elif (
            kind == _USER_INFORMATION
            and _count(body, start, end, MAXIMUM_USER_ITEMS) > MAXIMUM_USER_ITEMS
        ):
            return f"more than {MAXIMUM_USER_ITEMS} items of user information"
    return ""


def _count(body: bytes | bytearray, start: int, end: int, limit: int) -> int:
    number = 0
    for _ in _items(body, start, end):
        number += 1
        if number > limit:
            break
    return number


def _items(body: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield type, begin and end of the value of each item."""
    while start + _ITEM.size <= end:
        kind, length = _ITEM.unpack_from(body, start)
        start += _ITEM.size
        yield kind, start, min(start + length, end)
        start += length
