"""Encoded data sets as pieces that can be damaged one by one, and what damage is done to them."""

import os
import random
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
SHORT = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
VRS = (*SHORT, *sorted(LONG), b"ZZ", b"\0\0", b"1a")
LENGTHS = (0, 1, 2, 3, 7, 0x7F, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
TEXTS = (
    b"", b"0", b"-1", b"1", b"nan", b"inf", b"-inf", b"1e400", b"1e308", b"1e-320", b"2147483647",
    b"-2147483648", b"99999999999999999999", b"1\\2", b"1\\2\\3", b"1\\0\\0\\0\\1\\0", b"0\\0\\0",
    b"0\\0\\0\\0\\0\\0", b"\\" * 40, b"\\\\", b"1.2.3", b"../../etc/passwd", b"/etc/passwd",
    b"1..2", b"a" * 300, b"\xff\xfe\xfd", b"ISO 2022 IR 87", b"ISO_IR 192\\GB18030", b"UNKNOWN",
    b"\x1b$B", b"\0\0\0\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\xff" * 8, b"\0" * 16, b"0" * 70,
    b"MONOCHROME1", b"RGB", b"FRACTIONAL", b"LABELMAP", b"CIRCLE", b"ELLIPSE", b"POLYLINE",
    b"POINT", b"SCOORD", b"SCOORD3D", b"IMAGE", b"CONTAINER", b"NUM", b"1.2.840.10008.1.2.4.90",
    b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2", b"2e9", b"65536",
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """An element, an item or a delimiter; ``vr`` is empty for the latter two."""

    tag: bytes
    vr: bytes
    value: bytes
    length: int | None = None  # where it is a lie, or undefined

    def encode(self) -> bytes:
        length = len(self.value) if self.length is None else self.length
        if not self.vr:
            return self.tag + struct.pack("<L", length) + self.value
        if self.vr in LONG:
            return self.tag + self.vr + b"\0\0" + struct.pack("<L", length) + self.value
        return self.tag + self.vr + struct.pack("<H", length & 0xFFFF) + self.value


Pieces = tuple[Piece, ...]


def encode_dataset(dataset: Dataset) -> bytes:
    """Encode in explicit VR little endian with sequences of undefined length."""
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def cut(data: bytes) -> Pieces:
    """Cut explicit VR little endian bytes with undefined lengths into pieces."""
    pieces, position = [], 0
    while position < len(data):
        tag = data[position : position + 4]
        if tag[:2] == b"\xfe\xff":
            vr, value = b"", position + 8
            (length,) = struct.unpack_from("<L", data, position + 4)
        elif data[position + 4 : position + 6] in LONG:
            vr, value = data[position + 4 : position + 6], position + 12
            (length,) = struct.unpack_from("<L", data, position + 8)
        else:
            vr, value = data[position + 4 : position + 6], position + 8
            (length,) = struct.unpack_from("<H", data, position + 6)
        known = 0 if length == 0xFFFFFFFF else length
        undefined = 0xFFFFFFFF if length == 0xFFFFFFFF else None
        pieces.append(Piece(tag, vr, data[value : value + known], undefined))
        position = value + known
    return tuple(pieces)


def draws() -> random.Random:
    """Return the same draws in each ``make test``, new ones in ``make fuzz``; prints the seed."""
    seed = secrets.randbelow(1 << 32) if os.environ.get("ONCONODE_FUZZ_CASES") else 1
    print(f"seed {seed}")
    return random.Random(seed)


def join(pieces: Sequence[Piece]) -> bytes:
    return b"".join(piece.encode() for piece in pieces)


class Change(NamedTuple):
    kind: int
    where: int
    what: int


Changes = Sequence[Change]
KINDS, MOST_CHANGES = 14, 5


def pick(changes: Changes, of: Sequence[Any]) -> Any:
    """Return what is damaged in this case."""
    return of[changes[0].where % len(of)] if changes else of[0]


def _read_changes(data: bytes) -> list[Change]:
    found = struct.iter_unpack("<HBB", data[: len(data) // 4 * 4])
    return [Change(kind % KINDS, where % 4096, what) for where, kind, what in found]


changes = st.binary(min_size=4, max_size=4 * MOST_CHANGES).map(_read_changes)
"""How something is damaged: one draw for all of a case, which is what draws cost."""


def damage(pieces: Pieces, wanted: Changes) -> bytes:
    """Apply changes; those of the last kinds apply to the bytes."""
    changed, of_bytes = list(pieces), []
    for change in wanted:
        if change.kind > 10 or not changed:
            of_bytes.append(change)
            continue
        at = change.where % len(changed)
        changed[at : at + 1] = _changed(changed, at, change)
    return damage_bytes(join(changed), of_bytes)


def _changed(  # noqa: PLR0911 - a table of kinds
    pieces: list[Piece], at: int, change: Change
) -> list[Piece]:
    piece, what = pieces[at], change.what
    match change.kind:
        case 0:
            return [replace(piece, length=LENGTHS[what % len(LENGTHS)])]
        case 1:
            return [replace(piece, vr=VRS[what % len(VRS)])] if piece.vr else []
        case 2 | 3 | 4:
            return [replace(piece, value=TEXTS[what % len(TEXTS)])]
        case 5:
            return []
        case 6:
            return [piece] * (1 + what % 40)
        case 7:
            return [replace(piece, tag=pieces[what % len(pieces)].tag)]
        case 8:
            return [replace(piece, value=piece.value * (what % 9))]
        case 9:
            depth = what % 50
            inner = Piece(piece.tag, b"SQ", b"", 0xFFFFFFFF)
            return [inner, Piece(b"\xfe\xff\x00\xe0", b"", b"", 0xFFFFFFFF)] * depth + [piece]
        case _:
            return [pieces[what % len(pieces)], piece]


def damage_bytes(data: bytes, wanted: Sequence[Change]) -> bytes:
    """Damage bytes that have no pieces."""
    for kind, where, what in wanted:
        if not data:
            return data
        at = where * len(data) // 4096
        match kind % 4:
            case 0:
                data = data[:at] + bytes((what,)) + data[at + 1 :]
            case 1:
                data = data[:at]
            case 2:
                data = data[:at] + data[at + what :]
            case _:
                data = data[:at] + bytes((what,)) * (what % 5) + data[at:]
    return data
