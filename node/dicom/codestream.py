"""The size of an image as its compressed form tells it, before anything is decoded.

References
----------
ITU-T T.81 annex B (JPEG), ITU-T T.87 annex C (JPEG-LS), ITU-T T.800 annex A (JPEG 2000).
"""

import struct

_JPEG_2000 = b"\xff\x4f\xff\x51"  # SOC, SIZ
_SIZ = struct.Struct(">4L")
_SIZ_EXTENT = 8  # from the SIZ marker: its length and the capabilities come first
_JPEG = b"\xff\xd8"
# Start of frame: SOF0 to SOF15 without DHT, JPG and DAC; SOF55 of JPEG-LS.
_STARTS_OF_FRAME = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_START_OF_SCAN = 0xDA


def read_matrix(frame: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a compressed frame.

    Parameters
    ----------
    frame : bytes
        JPEG, JPEG-LS or JPEG 2000, as in DICOM or within a JP2 file.

    Returns
    -------
    tuple of int or None
        None where it tells none, as in RLE.
    """
    start = frame.find(_JPEG_2000)
    if frame.startswith(_JPEG):
        return _read_jpeg(frame)
    if start < 0 or len(frame) < start + _SIZ_EXTENT + _SIZ.size:
        return None
    width, height, left, top = _SIZ.unpack_from(frame, start + _SIZ_EXTENT)
    return height - top, width - left


def _read_jpeg(frame: bytes) -> tuple[int, int] | None:
    position = len(_JPEG)
    while position + 9 <= len(frame):
        if frame[position] != 0xFF:
            return None
        marker = frame[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker in _STARTS_OF_FRAME:
            rows, columns = struct.unpack_from(">HH", frame, position + 5)
            return rows, columns
        elif marker == _START_OF_SCAN:
            return None
        elif marker in _WITHOUT_LENGTH:
            position += 2
        else:
            position += 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    return None
