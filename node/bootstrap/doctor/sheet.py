"""What the doctor writes down: one line for each thing that was tried."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

NODE = "node"
PHANTOM = "phantom"


class Mark(StrEnum):
    """How a thing is."""

    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"  # works, and somebody should look at it
    FAIL = "fail"
    SKIP = "skip"  # not tried, or cannot be told; never a sign of health


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was tried.

    Parameters
    ----------
    about : str
        ``NODE``, ``PHANTOM``, or the name of a peer.
    check : str
        What it is called in the sheet.
    mark : Mark
    tried : str
        What was done, in words.
    found : str
        What came of it.
    remedy : str
        What to do; empty where nothing is to be done.
    stored : tuple of str
        SOP Instance UIDs of test objects that the peer has from now on.
    """

    about: str
    check: str
    mark: Mark
    tried: str
    found: str
    remedy: str = ""
    stored: tuple[str, ...] = ()


def count_marks(lines: Sequence[Line]) -> dict[str, int]:
    """Return how many lines have each mark, all marks named."""
    counts = Counter(line.mark for line in lines)
    return {mark.value: counts[mark] for mark in Mark}


def has_failed(lines: Sequence[Line], *, about: str | None = None) -> bool:
    """Tell whether anything failed, or anything about one of them."""
    return any(line.mark is Mark.FAIL and about in (None, line.about) for line in lines)
