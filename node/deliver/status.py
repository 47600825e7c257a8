"""What a C-STORE status of a peer means for the outbox.

References
----------
PS3.4 table B.2-1 (storage), PS3.7 annex C (general statuses).
"""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What the sender does next."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    GIVE_UP = "give up"


@dataclass(frozen=True)
class StatusRule:
    """Verdict for the statuses from ``first`` to ``last``, both included."""

    first: int
    last: int
    verdict: Verdict
    meaning: str


# One range a line, in ascending order. "Retry" is what time or an operator of the peer may mend;
# "give up" is what the object itself is to blame for: it will be the same next time.
STATUS_TABLE: tuple[StatusRule, ...] = (
    StatusRule(0x0000, 0x0000, Verdict.ACCEPTED, "success"),
    StatusRule(0x0001, 0x0001, Verdict.ACCEPTED, "warning: requested optional attributes"),
    StatusRule(0x0107, 0x0107, Verdict.ACCEPTED, "warning: attribute list error"),
    StatusRule(0x0110, 0x0110, Verdict.RETRY, "processing failure"),
    StatusRule(0x0111, 0x0111, Verdict.ACCEPTED, "duplicate SOP instance: it is there already"),
    StatusRule(0x0112, 0x0112, Verdict.GIVE_UP, "no such SOP instance"),
    StatusRule(0x0116, 0x0116, Verdict.ACCEPTED, "warning: attribute value out of range"),
    StatusRule(0x0117, 0x0117, Verdict.GIVE_UP, "invalid SOP instance"),
    StatusRule(0x0118, 0x0118, Verdict.GIVE_UP, "no such SOP class"),
    StatusRule(0x0122, 0x0122, Verdict.GIVE_UP, "SOP class not supported"),
    StatusRule(0x0124, 0x0124, Verdict.RETRY, "not authorized"),
    StatusRule(0x0210, 0x0210, Verdict.RETRY, "duplicate invocation"),
    StatusRule(0x0211, 0x0212, Verdict.GIVE_UP, "operation not understood"),
    StatusRule(0x0213, 0x0213, Verdict.RETRY, "resource limitation"),
    StatusRule(0xA700, 0xA7FF, Verdict.RETRY, "out of resources"),
    StatusRule(0xA900, 0xA9FF, Verdict.GIVE_UP, "data set does not match SOP class"),
    StatusRule(0xB000, 0xBFFF, Verdict.ACCEPTED, "warning: stored with a remark"),
    StatusRule(0xC000, 0xCFFF, Verdict.GIVE_UP, "cannot understand"),
)

# Cancel, pending and whatever else has no place in an answer to C-STORE: the peer is confused,
# the object is probably fine.
UNKNOWN = StatusRule(0x0000, 0xFFFF, Verdict.RETRY, "unknown status")

SOP_CLASS_NOT_SUPPORTED = 0x0122
PROCESSING_FAILURE = 0x0110


def rule_of(status: int) -> StatusRule:
    """Rule for a status; ``UNKNOWN`` where the table has none."""
    for rule in STATUS_TABLE:
        if rule.first <= status <= rule.last:
            return rule
    return UNKNOWN
