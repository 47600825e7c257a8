"""Storage Commitment Push as SCU: ask a destination to keep what it accepted.

References
----------
PS3.4 annex J.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

import structlog
from pydicom import Dataset
from pynetdicom import evt
from pynetdicom.presentation import build_context

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.dicom.commitment import (
    REQUEST_ACTION,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    InvalidCommitment,
    read_report,
    write_request,
)
from node.domain.commitment import CommitmentReport
from node.domain.errors import TryLater
from node.jobs.commitments import Transaction

log = structlog.get_logger()

VERIFICATION = "1.2.840.10008.1.1"
SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
INVALID_ARGUMENT_VALUE = 0x0115
# Nobody who answers so will answer otherwise tomorrow: PS3.7 annex C.
UNSUPPORTED = frozenset({0x0112, 0x0117, 0x0118, 0x0119, 0x0122, 0x0123, 0x0211, 0x0212})

RecordReport = Callable[[CommitmentReport], bool]
"""Writes an answer down; False when the node never asked for it."""


class CommitmentUnsupported(Exception):
    """The peer does not offer Storage Commitment."""


def request_commitment(
    transaction: Transaction,
    *,
    peer: Peer,
    calling_ae_title: str,
    settings: DeliverSettings,
    record: RecordReport,
) -> bool:
    """Ask for commitment and wait a moment for an answer on the same association.

    Parameters
    ----------
    transaction : Transaction
        Written down already: its answer may arrive before this returns, and elsewhere.
    peer : Peer
    calling_ae_title : str
    settings : DeliverSettings
    record : callable

    Returns
    -------
    bool
        Whether the answer came; if not, it comes on an association that the peer opens.

    Raises
    ------
    TryLater
        If the request did not arrive.
    CommitmentUnsupported
        If the peer does not offer the service.
    """
    answered = threading.Event()
    serving: list[threading.Thread] = []

    def take(event: evt.Event) -> tuple[int, Dataset | None]:
        # pynetdicom serves N-EVENT-REPORT in a thread of its own; a release must not overtake it
        serving.append(threading.current_thread())
        status = take_report(event, record)
        if status == SUCCESS:
            answered.set()
        return status, None

    try:
        with open_association(
            peer,
            # some archives abort an association of which they want nothing at all
            contexts=[build_context(STORAGE_COMMITMENT), build_context(VERIFICATION)],
            calling_ae_title=calling_ae_title,
            settings=settings,
            handlers=[(evt.EVT_N_EVENT_REPORT, take)],
        ) as association:
            offered = {str(context.abstract_syntax) for context in association.accepted_contexts}
            if STORAGE_COMMITMENT not in offered:
                raise NothingAccepted(peer.name)
            answer = Dataset()
            with suppress(RuntimeError):  # pynetdicom: the association has ended before the call
                answer, _ = association.send_n_action(
                    write_request(transaction.transaction_uid, transaction.objects),
                    REQUEST_ACTION,
                    STORAGE_COMMITMENT,
                    STORAGE_COMMITMENT_INSTANCE,
                )
            if "Status" not in answer:
                raise TryLater(f"{peer.name}: no answer to the request for commitment")
            status = int(answer.Status)
            if status in UNSUPPORTED:
                raise CommitmentUnsupported(f"request for commitment answered 0x{status:04X}")
            if status != SUCCESS:
                raise TryLater(f"{peer.name}: request for commitment answered 0x{status:04X}")
            answered.wait(settings.commitment_wait_s)
            for thread in serving:
                thread.join(timeout=settings.dimse_timeout_s or None)
            return answered.is_set()
    except NothingAccepted:
        raise CommitmentUnsupported("the peer does not offer Storage Commitment") from None


def take_report(event: evt.Event, record: RecordReport) -> int:
    """Write down an N-EVENT-REPORT and return the status of the answer to it."""
    try:
        event_type = int(event.event_type or 0)
        report = read_report(event_type, event.event_information)
    except InvalidCommitment as error:
        log.warning("commitment.invalid_report", reason=str(error))
        return INVALID_ARGUMENT_VALUE
    known = record(report)
    log.info(
        "commitment.reported",
        transaction_uid=report.transaction_uid,
        committed=len(report.committed),
        failed=len(report.failed),
        known=known,
    )
    return SUCCESS if known else INVALID_ARGUMENT_VALUE
