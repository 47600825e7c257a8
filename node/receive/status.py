"""What is wrong with an object, and what its sender is told: the one table of both.

PS3.4 table B.2-1 gives C-STORE three ranges of failure: A7xx out of resources (send it again
later), A9xx the data set does not match its SOP class (it will never fit), Cxxx cannot
understand (any other refusal; the node's own numbers are below). PS3.7 section 9.1.1.1.9 adds
0117 for a SOP Instance UID that breaks the rules for UIDs.

0111 "duplicate SOP instance" is not among them: it belongs to N-CREATE. An object that is sent
again with the same bytes is answered 0000, because the sender's wish, that it be stored, is
fulfilled. With other bytes it is refused: SOP Instance UIDs are unique (PS3.5 section 9), the
node cannot know which of the two is right, and results may refer to the first already; success
would let the sender delete the only other copy. 0110 "processing failure" is not a C-STORE
status either, so an error of the node itself is C211, as pynetdicom has it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydicom.datadict import tag_for_keyword

from node.domain.errors import Problem
from node.receive.store_command import StoreAnswer

SUCCESS = StoreAnswer(status=0x0000)
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH_SOP_CLASS = 0xA900
INVALID_SOP_INSTANCE = 0x0117
HANDLER_FAILED = 0xC211


@dataclass(frozen=True, kw_only=True)
class Fault:
    """How one kind of fault is answered.

    Parameters
    ----------
    status : int
        DIMSE status.
    comment : str
        Error comment for the sender, at most 64 characters; never text from the object.
    keep : bool
        The bytes go to quarantine; False where there is no room for them, or where the sender
        is asked to send them again.
    """

    status: int
    comment: str
    keep: bool = True


FAULTS: Mapping[str, Fault] = {
    # the object
    "not-dicom": Fault(status=0xC001, comment="data set is not DICOM"),
    "unparsable": Fault(status=0xC002, comment="data set does not follow its transfer syntax"),
    "truncated": Fault(status=0xC003, comment="data set is truncated"),
    "invalid-uid": Fault(status=0xC004, comment="UID breaks the rules of PS3.5 section 9.1"),
    "invalid-sop-instance-uid": Fault(
        status=INVALID_SOP_INSTANCE, comment="SOP Instance UID breaks the rules of PS3.5 9.1"
    ),
    "other-content": Fault(
        status=0xC005, comment="SOP Instance UID is stored already with other content"
    ),
    "too-complex": Fault(
        status=0xC006, comment="data set is nested too deep or has too many elements"
    ),
    "missing-uid": Fault(
        status=DOES_NOT_MATCH_SOP_CLASS, comment="a UID that every SOP class requires is missing"
    ),
    "sop-class-mismatch": Fault(
        status=DOES_NOT_MATCH_SOP_CLASS, comment="SOP Class UID differs from that of the request"
    ),
    "sop-instance-mismatch": Fault(
        status=DOES_NOT_MATCH_SOP_CLASS, comment="SOP Instance UID differs from the request's"
    ),
    # the node
    "disk-full": Fault(status=OUT_OF_RESOURCES, comment="no disk space", keep=False),
    "data-set-too-large": Fault(
        status=OUT_OF_RESOURCES, comment="data set is larger than this node accepts", keep=False
    ),
    "database-unavailable": Fault(
        status=OUT_OF_RESOURCES, comment="object could not be recorded, send it later", keep=False
    ),
    "internal-error": Fault(status=HANDLER_FAILED, comment="internal error, see the node's log"),
}


def fault_of(problems: Sequence[Problem]) -> Fault:
    """Return the fault that the answer is about: the first problem decides."""
    return FAULTS.get(problems[0].code, FAULTS["internal-error"])


def failure(problems: Sequence[Problem]) -> StoreAnswer:
    """Return the answer for an object that is refused.

    Error comment and offending elements are those that PS3.7 section 9.1.1.1 allows for the
    status; 0117 allows none.
    """
    fault = fault_of(problems)
    if fault.status == INVALID_SOP_INSTANCE:
        return StoreAnswer(status=fault.status)
    tags = (tag_for_keyword(problem.tag) for problem in problems if problem.tag)
    offending = () if fault.status == OUT_OF_RESOURCES else tuple(tag for tag in tags if tag)
    return StoreAnswer(status=fault.status, comment=fault.comment, offending=offending)
