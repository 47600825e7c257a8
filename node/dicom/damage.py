"""What pydicom and its decoders raise for objects that they cannot read."""

import struct
import zlib

from pydicom.errors import BytesLengthException, InvalidDicomError

DAMAGED = (
    AttributeError,
    BytesLengthException,
    EOFError,
    InvalidDicomError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Caught round the reading of one object, so that it can be named and the others go on."""
