"""The b-value of an image by the private attributes of vendors, for objects without the standard's.

Older software of scanners writes classic MR objects without DiffusionBValue (0018,9087).

References
----------
Li et al., J Neurosci Methods 264, 2016, doi:10.1016/j.jneumeth.2016.03.001 (where vendors keep it).
PS3.5 section 7.8.1 (blocks of private elements).
"""

import math

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

PLACES: tuple[tuple[int, str, int], ...] = (
    (0x0019, "SIEMENS MR HEADER", 0x0C),
    (0x0043, "GEMS_PARM_01", 0x39),
    (0x2001, "Philips Imaging DD 001", 0x03),
)
"""Group, creator of the block, element in it."""
BLOCKS = range(0x10, 0x20)
"""Blocks that are looked for; scanners use the first ones."""
GE_OFFSET = 1_000_000_000
"""GE adds it where a series has several b-values."""

B_VALUE_TAGS: tuple[BaseTag, ...] = tuple(
    Tag(group, element)
    for group, _, offset in PLACES
    for block in BLOCKS
    for element in (block, block << 8 | offset)
)
"""What ``dcmread`` must be asked for."""


def private_b_value(dataset: Dataset) -> float | None:
    """Return the b-value in s/mm² that a vendor's own attribute tells; None if there is none."""
    for group, creator, offset in PLACES:
        try:
            value = dataset.private_block(group, creator)[offset].value
        except KeyError:
            continue
        b_value = _number(value)
        if b_value is not None:
            return b_value
    return None


def _number(value: object) -> float | None:
    """The first value as a number; bytes are text that came with the VR UN."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").split("\\")[0]
    elif not isinstance(value, (str, int, float)):
        try:
            value = next(iter(value), None)  # type: ignore[call-overload]  # several values
        except TypeError:
            return None
    try:
        number = float(value)  # type: ignore[arg-type]  # None is told by TypeError
    except (TypeError, ValueError):
        return None
    if number >= GE_OFFSET:
        number -= GE_OFFSET
    return number if math.isfinite(number) and number >= 0 else None
