"""Storage Commitment Push: requests of peers, and the answers of peers to ours.

A request is on disk before it is answered. Its report goes out on the same association if the peer
keeps that open, else on another one, which is not opened here: the request stays open in the
ledger and who sends things finds it there.

References
----------
PS3.4 annex J, PS3.7 sections 10.1.1 (N-EVENT-REPORT) and 10.1.4 (N-ACTION).
"""

import queue
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import BytesIO
from typing import Any, Protocol

import structlog
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import Event, EventHandlerType
from sqlalchemy.exc import SQLAlchemyError

from node.dicom.commitment import (
    REQUEST_ACTION,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    InvalidCommitment,
    read_report,
    read_request,
    report_of,
)
from node.dicom.damage import DAMAGED
from node.domain.commitment import CommitmentReport
from node.domain.errors import TryLater
from node.jobs.commitment_requests import CommitmentRequest

log = structlog.get_logger()

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
INVALID_ARGUMENT_VALUE = 0x0115
NO_SUCH_ACTION = 0x0123
NOT_AUTHORIZED = 0x0124

GRACE_S = 0.5
"""A peer that wants its answer elsewhere releases the association within that time."""
REPLY_S = 10.0
"""How long the reply to a report may take on the association of the request."""


class RequestBook(Protocol):
    """Where requests are written down."""

    def add(
        self, *, calling_ae_title: str, transaction_uid: str, objects: Sequence[tuple[str, str]]
    ) -> CommitmentRequest:
        """Write a request down."""

    def reported(self, request_id: int) -> None:
        """Record that the peer took its answer."""


class CommitmentService:
    """Answers N-ACTION for what the node holds, and takes N-EVENT-REPORT for what it sent.

    Parameters
    ----------
    requests : RequestBook
    held : callable
        SOP Instance UIDs -> SOP Class UIDs of those whose files are there.
    record_report : callable
        Writes an answer of a peer down; False when the node never asked.
    answers : bool
        Whether peers may ask; answers of peers are always taken.
    """

    def __init__(
        self,
        *,
        requests: RequestBook,
        held: Callable[[Sequence[str]], Mapping[str, str]],
        record_report: Callable[[CommitmentReport], bool],
        answers: bool = True,
    ) -> None:
        self._answers = answers
        self._requests = requests
        self._held = held
        self._record_report = record_report

    @property
    def handlers(self) -> tuple[EventHandlerType, ...]:
        """What a listener binds."""
        return (
            (evt.EVT_N_ACTION, self.answer_action),
            (evt.EVT_N_EVENT_REPORT, self.answer_report),
        )

    def answer_action(self, event: Event) -> tuple[int, Dataset | None]:
        """Answer a request for commitment."""
        request: Any = event.request
        caller = event.assoc.requestor.ae_title.strip()
        if not self._answers:
            return NOT_AUTHORIZED, None
        if event.action_type != REQUEST_ACTION:
            return NO_SUCH_ACTION, None
        if str(request.RequestedSOPInstanceUID) != STORAGE_COMMITMENT_INSTANCE:
            return NO_SUCH_INSTANCE, None
        try:
            transaction_uid, objects = read_request(event.action_information)
        except (InvalidCommitment, *DAMAGED) as error:
            log.warning("commitment.invalid", calling_ae_title=caller, reason=str(error))
            return INVALID_ARGUMENT_VALUE, None
        try:
            asked = self._requests.add(
                calling_ae_title=caller, transaction_uid=transaction_uid, objects=objects
            )
        except (SQLAlchemyError, TryLater) as error:
            log.warning("database.unavailable", error=type(error).__name__)
            return PROCESSING_FAILURE, None
        log.info(
            "commitment.requested",
            calling_ae_title=caller,
            transaction_uid=transaction_uid,
            objects=len(objects),
        )
        context: Any = event.context
        association: Any = event.assoc
        association.follow_ups.append(partial(self._report, association, context, asked))
        return SUCCESS, None

    def answer_report(self, event: Event) -> tuple[int, Dataset | None]:
        """Take the answer to a request of ours, on an association that the peer opened."""
        caller = event.assoc.requestor.ae_title.strip()
        try:
            report = read_report(int(event.event_type or 0), event.event_information)
        except (InvalidCommitment, *DAMAGED) as error:
            log.warning("commitment.invalid_report", calling_ae_title=caller, reason=str(error))
            return INVALID_ARGUMENT_VALUE, None
        try:
            known = self._record_report(report)
        except (SQLAlchemyError, TryLater) as error:
            log.warning("database.unavailable", error=type(error).__name__)
            return PROCESSING_FAILURE, None
        log.info(
            "commitment.reported",
            calling_ae_title=caller,
            transaction_uid=report.transaction_uid,
            committed=len(report.committed),
            failed=len(report.failed),
            known=known,
        )
        return (SUCCESS if known else INVALID_ARGUMENT_VALUE), None

    def _report(self, association: Any, context: Any, request: CommitmentRequest) -> None:
        """Report on the association of the request; in the thread that takes its messages."""
        _await_message(association, lambda _: False, GRACE_S)
        if _is_ending(association):
            return
        try:
            held = self._held([uid for _, uid in request.objects])
            event_type, report = report_of(request.transaction_uid, request.objects, held)
            association.dimse.send_msg(_message(event_type, report, context), context.context_id)
            reply = _await_message(association, _is_reply, REPLY_S)
            if reply is not None and reply.Status == SUCCESS:
                self._requests.reported(request.request_id)
                log.info(
                    "commitment.answered",
                    calling_ae_title=request.calling_ae_title,
                    transaction_uid=request.transaction_uid,
                    association="same",
                )
        except (SQLAlchemyError, TryLater) as error:  # the request stays open
            log.warning("database.unavailable", error=type(error).__name__)


def _message(event_type: int, report: Dataset, context: Any) -> N_EVENT_REPORT:
    syntax = UID(context.transfer_syntax)
    encoded = encode(report, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    message = N_EVENT_REPORT()
    message.MessageID = 1
    message.AffectedSOPClassUID = UID(STORAGE_COMMITMENT)
    message.AffectedSOPInstanceUID = UID(STORAGE_COMMITMENT_INSTANCE)
    message.EventTypeID = event_type
    message.EventInformation = BytesIO(encoded or b"")
    return message


def _await_message(association: Any, wanted: Callable[[Any], bool], timeout_s: float) -> Any:
    """Return the message that is wanted; None when it does not come, or the peer wants to end.

    Others stay in the queue, in their order.
    """
    messages, aside, found = association.dimse.msg_queue, [], None
    deadline = time.monotonic() + timeout_s
    while found is None and not _is_ending(association):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            break
        try:
            context_id, message = messages.get(timeout=left_s)
        except queue.Empty:
            break
        if message is not None and wanted(message):
            found = message
        elif message is not None:
            aside.append((context_id, message))
    with messages.mutex:
        messages.queue.extendleft(reversed(aside))
    return found


def _is_reply(message: Any) -> bool:
    return isinstance(message, N_EVENT_REPORT) and message.MessageIDBeingRespondedTo is not None


def _is_ending(association: Any) -> bool:
    """Whether a release or an abort waits to be handled."""
    return not association.is_established or association.dul.peek_next_pdu() is not None
