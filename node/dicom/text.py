"""Texts of headers as a person reads them, whatever character set they are written in."""

import re
from typing import Any

from pydicom import Dataset, Sequence
from pydicom.multival import MultiValue

_ESCAPE = re.compile(r"\x1b[\x20-\x2f]+[\x30-\x7e]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
"""What no text may have (PS3.5 6.1.3: TAB, LF, FF and CR may be); PostgreSQL takes no NUL."""


def as_stored(text: str) -> str:
    """Return a text as every database takes it: no control characters, no halves of a character."""
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode())


def as_text(value: Any) -> str:
    r"""Return a value as text: several values parted by ``\``, none and data sets as an empty text.

    pydicom decodes GB 2312 behind code extensions (``ISO 2022 IR 58``) and leaves the escape
    sequences in its text. They are taken out here, as are control characters; objects that are
    written get the value as it was read. A sequence where a text belongs is none; to print it would
    read all that it holds.

    References
    ----------
    PS3.5 sections 6.1.2.5 (code extension) and K (simplified Chinese).
    """
    if isinstance(value, MultiValue | list | tuple):
        return "\\".join(as_text(part) for part in value)
    if value is None or isinstance(value, Sequence | Dataset):
        return ""
    return _CONTROL.sub("", _ESCAPE.sub("", str(value)))
