"""Walk the elements of an encoded data set, to see that it is whole and within the limits.

Nothing is decoded but tags and lengths, so the cost does not grow with the pixels. Sequences of
defined length are entered, too: what is damaged within one of them is left to those who read it,
but not what is nested too deep or too much.

References
----------
PS3.5 section 7.1 (data elements), 7.5 (nesting of data sets), A.4 (encapsulated pixel data).
"""

import struct
from collections.abc import Collection
from mmap import mmap
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from node.dicom.limits import MAXIMUM_DEPTH, MAXIMUM_ELEMENTS

Buffer = bytes | mmap

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
SEQUENCES = frozenset(tag for tag, entry in DicomDictionary.items() if entry[0] == "SQ")
"""Tags of sequences, for data sets that name no VR."""

MAXIMUM_VALUE_BYTES = 128
NOT_DICOM, UNPARSABLE, TRUNCATED, TOO_COMPLEX = (
    "not-dicom",
    "unparsable",
    "truncated",
    "too-complex",
)


class StructureFault(ValueError):
    """A data set that is none, is cut off, or is beyond the limits.

    Parameters
    ----------
    code : str
        ``not-dicom``, ``unparsable``, ``truncated`` or ``too-complex``.
    found : str
        In words.
    """

    def __init__(self, code: str, found: str) -> None:
        super().__init__(code, found)
        self.code = code
        self.found = found


def walk_data_set(
    buffer: Buffer,
    *,
    transfer_syntax_uid: str,
    start: int = 0,
    wanted: Collection[int] = (),
) -> dict[int, str]:
    """Walk a data set to its end; return the texts of some of its top-level elements.

    Parameters
    ----------
    buffer : bytes or mmap
        File or data set; of a deflated one, the inflated bytes.
    transfer_syntax_uid : str
    start : int, optional
        Where the data set begins in the buffer.
    wanted : collection of int, optional
        Tags; values of more than ``MAXIMUM_VALUE_BYTES`` are passed over.

    Raises
    ------
    StructureFault
    """
    walk = _Walk(
        buffer,
        implicit=transfer_syntax_uid == ImplicitVRLittleEndian,
        order=">" if transfer_syntax_uid == ExplicitVRBigEndian else "<",
    )
    return walk.read_wanted(start, wanted)


class _Element(NamedTuple):
    tag: int
    vr: bytes  # empty for implicit VR and for items
    length: int
    value: int  # where its value begins


class _Walk:
    def __init__(self, buffer: Buffer, *, implicit: bool, order: str) -> None:
        self._buffer = buffer
        self._end = len(buffer)
        self._implicit = implicit
        self._budget = MAXIMUM_ELEMENTS
        self._tag = struct.Struct(order + "HH")
        self._long = struct.Struct(order + "L")
        self._short = struct.Struct(order + "H")

    def read_wanted(self, start: int, wanted: Collection[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        position = start
        self._check_start(start)
        while not self._is_finished(position):
            element = self._element(position, self._implicit)
            if element.tag in wanted and element.length <= MAXIMUM_VALUE_BYTES:
                raw = self._buffer[element.value : self._after(element)]
                found[element.tag] = raw.decode("ascii", "replace").strip(" \0")
            position = self._skip(element, self._implicit, 0)
        return found

    def _check_start(self, start: int) -> None:
        """A data set begins with group 0008: nothing else tells noise from a cut-off object."""
        if self._end - start < 8:
            raise StructureFault(NOT_DICOM, "no data element at all")
        if self._tag.unpack_from(self._buffer, start)[0] != IDENTIFYING_GROUP:
            raise StructureFault(NOT_DICOM, "bytes that do not begin with an element of group 0008")

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
            told = f"more than {MAXIMUM_ELEMENTS} elements and items"
            raise StructureFault(TOO_COMPLEX, told)
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
            raise StructureFault(UNPARSABLE, f"no value representation in element {place}")
        if position + 12 > self._end:
            raise self._truncated()
        # VRs of later editions have a long length too (PS3.5 section 7.1.2)
        return _Element(tag, vr, self._read_long(position + 8), position + 12)

    def _read_long(self, position: int) -> int:
        return int(self._long.unpack_from(self._buffer, position)[0])

    def _skip(self, element: _Element, implicit: bool, depth: int) -> int:
        """Return where the next element begins."""
        if element.length != UNDEFINED:
            after = self._after(element)
            if element.length and self._is_sequence(element, implicit):
                self._look_into(element.value, after, implicit, depth)
            return after
        if element.vr in BULK_VRS:
            return self._skip_items(element.value, implicit, depth, nested=False)
        if element.tag in (ITEM, ITEM_END, SEQUENCE_END):
            raise StructureFault(UNPARSABLE, "an item outside of a sequence")
        # A sequence of unknown VR is encoded as implicit VR little endian (PS3.5 section 6.2.2)
        implicit = implicit or element.vr == b"UN"
        return self._skip_items(element.value, implicit, depth, nested=True)

    def _is_sequence(self, element: _Element, implicit: bool) -> bool:
        return element.tag in SEQUENCES if implicit else element.vr == b"SQ"

    def _look_into(self, position: int, end: int, implicit: bool, depth: int) -> None:
        """Count what a sequence of defined length holds, as far as it can be walked."""
        around, self._end = self._end, end
        try:
            if depth >= MAXIMUM_DEPTH:
                raise StructureFault(TOO_COMPLEX, f"sequences nested deeper than {MAXIMUM_DEPTH}")
            while position < end:
                item = self._element(position, implicit)
                if item.tag != ITEM:
                    return
                if item.length == UNDEFINED:
                    position = self._skip_item(item.value, implicit, depth + 1)
                else:
                    position = self._look_into_item(item, implicit, depth + 1)
        except StructureFault as fault:
            if fault.code == TOO_COMPLEX:
                raise
        finally:
            self._end = around

    def _look_into_item(self, item: _Element, implicit: bool, depth: int) -> int:
        end = self._after(item)
        around, self._end = self._end, end
        position = item.value
        while position < end:
            position = self._skip(self._element(position, implicit), implicit, depth)
        self._end = around
        return end

    def _skip_items(self, position: int, implicit: bool, depth: int, *, nested: bool) -> int:
        if depth >= MAXIMUM_DEPTH:
            raise StructureFault(TOO_COMPLEX, f"sequences nested deeper than {MAXIMUM_DEPTH}")
        while True:
            item = self._element(position, implicit)
            if item.tag == SEQUENCE_END:
                return item.value
            if item.tag != ITEM:
                raise StructureFault(UNPARSABLE, "something else than an item in a sequence")
            if item.length != UNDEFINED:
                after = self._after(item)
                if nested:
                    self._look_into(position, after, implicit, depth)
                position = after
            elif nested:
                position = self._skip_item(item.value, implicit, depth + 1)
            else:
                raise StructureFault(UNPARSABLE, "a pixel data fragment of undefined length")

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

    def _truncated(self) -> StructureFault:
        return StructureFault(TRUNCATED, "an element that goes on after the last byte")
