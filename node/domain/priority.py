"""How urgent a study is, and how that orders what waits.

One rule orders every queue: work stands as if it had come earlier than it did, by the head start of
its priority. So stat work goes before all that has waited less than a day, and nothing waits for
ever: what comes later than its own head start behind it never overtakes it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType


class Priority(StrEnum):
    """The lanes, the most urgent first."""

    STAT = "stat"
    HIGH = "high"
    ROUTINE = "routine"


HEAD_START: Mapping[Priority, timedelta] = MappingProxyType(
    {
        Priority.STAT: timedelta(hours=24),
        Priority.HIGH: timedelta(hours=2),
        Priority.ROUTINE: timedelta(0),
    }
)
"""How much earlier than it came work is taken to have come."""


def place_in_queue(priority: Priority, since: datetime) -> datetime:
    """Return the moment by which work that waits since a moment is ordered, the earliest first."""
    return since - HEAD_START[priority]
