"""What pydicom and its decoders raise for objects that they cannot read."""

import struct

from pydicom.errors import InvalidDicomError

DAMAGED = (
    AttributeError,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""Caught round the reading of one object, so that it can be named and the others go on."""
