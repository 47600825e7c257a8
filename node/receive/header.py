"""Walk the elements of a received data set and read its identifiers; values are skipped.

Nothing is decoded but tags and lengths, so the cost does not grow with the pixels. Walking to
the end proves that the data set has the structure it claims and that no byte of it is missing.

References
----------
PS3.5 section 7.1 (data elements), 7.5 (nesting of data sets), A.4 (encapsulated pixel data).
"""

import re
import struct
from dataclasses import dataclass
from mmap import mmap
from typing import NamedTuple

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from node.domain.errors import InputRejected
from node.receive.problems import malformed

Buffer = bytes | mmap

SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
MODALITY = 0x00080060
STUDY_INSTANCE = 0x0020000D
SERIES_INSTANCE = 0x0020000E
WANTED = frozenset((SOP_CLASS, SOP_INSTANCE, MODALITY, STUDY_INSTANCE, SERIES_INSTANCE))

IDENTIFYING_GROUP = 0x0008
ITEM_GROUP = 0xFFFE
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF

LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
BULK_VRS = frozenset((b"OB", b"OW", b"OD", b"OF", b"OL", b"OV"))

MAXIMUM_DEPTH = 32
# A 2,000-frame enhanced object has about 100,000 elements; a hostile one must not cost minutes.
MAXIMUM_ELEMENTS = 2_000_000
MAXIMUM_VALUE_BYTES = 128

_MODALITY_CHARACTERS = re.compile(r"[A-Z0-9 _]{0,16}")


@dataclass(frozen=True, kw_only=True)
class PeekedHeader:
    """The identifiers of a data set, empty where it has none.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, study_instance_uid, series_instance_uid : str
    modality : str
        Empty also when it is no code string.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    modality: str


def peek_header(buffer: Buffer, *, transfer_syntax_uid: str, start: int = 0) -> PeekedHeader:
    """Read the identifiers of an encoded data set and check that it is complete.

    Parameters
    ----------
    buffer : bytes or mmap
        File or data set; of a deflated one, the inflated bytes.
    transfer_syntax_uid : str
    start : int, optional
        Where the data set begins in the buffer.

    Raises
    ------
    InputRejected
        ``not-dicom``, ``unparsable`` or ``truncated``.
    """
    walk = _Walk(
        buffer,
        implicit=transfer_syntax_uid == ImplicitVRLittleEndian,
        order=">" if transfer_syntax_uid == ExplicitVRBigEndian else "<",
    )
    values = walk.read_wanted(start)
    modality = values.get(MODALITY, "")
    return PeekedHeader(
        sop_class_uid=values.get(SOP_CLASS, ""),
        sop_instance_uid=values.get(SOP_INSTANCE, ""),
        study_instance_uid=values.get(STUDY_INSTANCE, ""),
        series_instance_uid=values.get(SERIES_INSTANCE, ""),
        modality=modality if _MODALITY_CHARACTERS.fullmatch(modality) else "",
    )


class _Element(NamedTuple):
    tag: int
    vr: bytes  # empty for implicit VR and for items
    length: int
    value: int  # where its value begins


class _EnoughSeen(Exception):
    """More elements than any honest object has: stop checking, the identifiers are known."""


class _Walk:
    def __init__(self, buffer: Buffer, *, implicit: bool, order: str) -> None:
        self._buffer = buffer
        self._end = len(buffer)
        self._implicit = implicit
        self._budget = MAXIMUM_ELEMENTS
        self._tag = struct.Struct(order + "HH")
        self._long = struct.Struct(order + "L")
        self._short = struct.Struct(order + "H")

    def read_wanted(self, start: int) -> dict[int, str]:
        found: dict[int, str] = {}
        position = start
        self._check_start(start)
        try:
            while not self._is_finished(position):
                element = self._element(position, self._implicit)
                if element.tag in WANTED and element.length <= MAXIMUM_VALUE_BYTES:
                    raw = self._buffer[element.value : self._after(element)]
                    found[element.tag] = raw.decode("ascii", "replace").strip(" \0")
                position = self._skip(element, self._implicit, 0)
        except _EnoughSeen:
            pass
        return found

    def _check_start(self, start: int) -> None:
        """A data set begins with group 0008: nothing else tells noise from a cut-off object."""
        if self._end - start < 8:
            raise malformed("not-dicom", "no data element at all")
        if self._tag.unpack_from(self._buffer, start)[0] != IDENTIFYING_GROUP:
            raise malformed("not-dicom", "bytes that do not begin with an element of group 0008")

    def _is_finished(self, position: int) -> bool:
        rest = self._end - position
        if rest >= 8:
            return False
        # some writers pad the end of a data set with a few zeros
        if any(self._buffer[position : self._end]):
            raise self._truncated()
        return True

    def _element(self, position: int, implicit: bool) -> _Element:
        self._budget -= 1
        if self._budget < 0:
            raise _EnoughSeen
        if position + 8 > self._end:
            raise self._truncated()
        group, number = self._tag.unpack_from(self._buffer, position)
        tag = group << 16 | number
        if implicit or group == ITEM_GROUP:
            return _Element(tag, b"", self._read_long(position + 4), position + 8)
        vr = self._buffer[position + 4 : position + 6]
        if vr in SHORT_VRS:
            length = self._short.unpack_from(self._buffer, position + 6)[0]
            return _Element(tag, vr, length, position + 8)
        if vr not in LONG_VRS and not (vr.isalpha() and vr.isupper()):
            place = f"({group:04X},{number:04X})"
            raise malformed("unparsable", f"no value representation in element {place}")
        if position + 12 > self._end:
            raise self._truncated()
        # VRs of later editions have a long length too (PS3.5 section 7.1.2)
        return _Element(tag, vr, self._read_long(position + 8), position + 12)

    def _read_long(self, position: int) -> int:
        return int(self._long.unpack_from(self._buffer, position)[0])

    def _skip(self, element: _Element, implicit: bool, depth: int) -> int:
        """Return where the next element begins."""
        if element.length != UNDEFINED:
            return self._after(element)
        if element.vr in BULK_VRS:
            return self._skip_items(element.value, implicit, depth, nested=False)
        if element.tag in (ITEM, ITEM_END, SEQUENCE_END):
            raise malformed("unparsable", "an item outside of a sequence")
        # A sequence of unknown VR is encoded as implicit VR little endian (PS3.5 section 6.2.2)
        implicit = implicit or element.vr == b"UN"
        return self._skip_items(element.value, implicit, depth, nested=True)

    def _skip_items(self, position: int, implicit: bool, depth: int, *, nested: bool) -> int:
        if depth >= MAXIMUM_DEPTH:
            raise malformed("unparsable", f"sequences nested deeper than {MAXIMUM_DEPTH}")
        while True:
            item = self._element(position, implicit)
            if item.tag == SEQUENCE_END:
                return item.value
            if item.tag != ITEM:
                raise malformed("unparsable", "something else than an item in a sequence")
            if item.length != UNDEFINED:
                position = self._after(item)
            elif nested:
                position = self._skip_item(item.value, implicit, depth + 1)
            else:
                raise malformed("unparsable", "a pixel data fragment of undefined length")

    def _skip_item(self, position: int, implicit: bool, depth: int) -> int:
        while True:
            element = self._element(position, implicit)
            if element.tag == ITEM_END:
                return element.value
            position = self._skip(element, implicit, depth)

    def _after(self, element: _Element) -> int:
        end = element.value + element.length
        if end > self._end:
            raise self._truncated()
        return end

    def _truncated(self) -> InputRejected:
        return malformed("truncated", "an element that goes on after the last byte")
