"""What a Storage Commitment answer says, and what each reason of failure means for the sender.

References
----------
PS3.4 annex J (Storage Commitment), PS3.3 section C.14 (Failure Reason).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class CommitmentVerdict(StrEnum):
    """What the sender of an object does next."""

    SEND_AGAIN = "send again"  # the archive has lost it
    ASK_AGAIN = "ask again"  # the archive could not tell
    UNWILLING = "unwilling"  # the archive keeps it, but does not promise to
    CONFLICT = "conflict"  # the archive holds something else under that UID


@dataclass(frozen=True, kw_only=True)
class CommitmentReport:
    """Answer to a request for commitment.

    Parameters
    ----------
    transaction_uid : str
    committed : frozenset of str
        SOP Instance UIDs that the archive promises to keep.
    failed : mapping of str to int
        SOP Instance UID -> Failure Reason (0008,1197).
    """

    transaction_uid: str
    committed: frozenset[str] = frozenset()
    failed: Mapping[str, int] = field(default_factory=dict)


PROCESSING_FAILURE = 0x0110
NO_SUCH_OBJECT_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
DUPLICATE_TRANSACTION_UID = 0x0131
RESOURCE_LIMITATION = 0x0213

REASONS: Mapping[int, tuple[CommitmentVerdict, str]] = MappingProxyType(
    {
        PROCESSING_FAILURE: (CommitmentVerdict.ASK_AGAIN, "processing failure"),
        NO_SUCH_OBJECT_INSTANCE: (CommitmentVerdict.SEND_AGAIN, "no such object instance"),
        CLASS_INSTANCE_CONFLICT: (CommitmentVerdict.CONFLICT, "class-instance conflict"),
        SOP_CLASS_NOT_SUPPORTED: (CommitmentVerdict.UNWILLING, "SOP class not supported"),
        DUPLICATE_TRANSACTION_UID: (CommitmentVerdict.ASK_AGAIN, "duplicate transaction UID"),
        RESOURCE_LIMITATION: (CommitmentVerdict.ASK_AGAIN, "resource limitation"),
    }
)


def verdict_of(reason: int) -> tuple[CommitmentVerdict, str]:
    """Return what a Failure Reason means for the sender, and the reason in words."""
    verdict, words = REASONS.get(reason, (CommitmentVerdict.ASK_AGAIN, "unknown reason"))
    return verdict, f"0x{reason:04X} {words}"
