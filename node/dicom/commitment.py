"""The data sets of Storage Commitment Push: what is asked for, and what is answered.

References
----------
PS3.4 annex J.3.2.1.1 (N-ACTION), J.3.3.1.1 (N-EVENT-REPORT).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID

from node.dicom.damage import DAMAGED
from node.domain.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_OBJECT_INSTANCE,
    PROCESSING_FAILURE,
    CommitmentReport,
)

STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_ACTION = 1
ALL_COMMITTED, SOME_FAILED = 1, 2  # event types
MAXIMUM_OBJECTS = 20_000
"""In one request; a study of more is asked about in parts."""


class InvalidCommitment(ValueError):
    """A request or an answer lacks what the standard requires."""


def write_request(transaction_uid: str, objects: Iterable[tuple[str, str]]) -> Dataset:
    """Return the Action Information that asks for commitment.

    Parameters
    ----------
    transaction_uid : str
    objects : iterable of (str, str)
        SOP Class UID and SOP Instance UID of each.
    """
    request = Dataset()
    request.TransactionUID = transaction_uid
    request.ReferencedSOPSequence = [_reference(*each) for each in objects]
    return request


def read_request(request: Dataset) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the Transaction UID and the objects that a peer asks about.

    Raises
    ------
    InvalidCommitment
        A UID is missing or invalid, or there are no objects, or too many.
    """
    objects = tuple(
        (_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID"))
        for item in _items(request, "ReferencedSOPSequence")
    )
    if not objects:
        raise InvalidCommitment("no ReferencedSOPSequence")
    return _uid(request, "TransactionUID"), objects


def write_report(
    transaction_uid: str,
    *,
    committed: Sequence[tuple[str, str]],
    failed: Mapping[tuple[str, str], int],
) -> tuple[int, Dataset]:
    """Return event type and Event Information of an answer.

    Parameters
    ----------
    transaction_uid : str
    committed : sequence of (str, str)
        SOP Class UID and SOP Instance UID of each.
    failed : mapping of (str, str) to int
        The same -> Failure Reason.
    """
    report = Dataset()
    report.TransactionUID = transaction_uid
    if committed:
        report.ReferencedSOPSequence = [_reference(*each) for each in committed]
    if failed:
        report.FailedSOPSequence = items = []
        for each, reason in failed.items():
            item = _reference(*each)
            item.FailureReason = reason
            items.append(item)
        report.FailedSOPSequence = items
    return (SOME_FAILED if failed else ALL_COMMITTED), report


def report_of(
    transaction_uid: str, objects: Sequence[tuple[str, str]], held: Mapping[str, str]
) -> tuple[int, Dataset]:
    """Return event type and Event Information of what a node answers by what it holds.

    Parameters
    ----------
    transaction_uid : str
    objects : sequence of (str, str)
        SOP Class UID and SOP Instance UID of each that was asked about.
    held : mapping of str to str
        SOP Instance UID -> SOP Class UID of what is there.
    """
    committed, failed = [], {}
    for sop_class_uid, sop_instance_uid in objects:
        if sop_instance_uid not in held:
            failed[sop_class_uid, sop_instance_uid] = NO_SUCH_OBJECT_INSTANCE
        elif held[sop_instance_uid] != sop_class_uid:
            failed[sop_class_uid, sop_instance_uid] = CLASS_INSTANCE_CONFLICT
        else:
            committed.append((sop_class_uid, sop_instance_uid))
    return write_report(transaction_uid, committed=committed, failed=failed)


def read_report(event_type: int, report: Dataset) -> CommitmentReport:
    """Return what an answer says.

    Event type 1 says that everything was committed, so that failures in it are not believed to
    be successes: what stands in both lists has failed.

    Raises
    ------
    InvalidCommitment
        A UID is missing or invalid, or the event type is unknown.
    """
    if event_type not in (ALL_COMMITTED, SOME_FAILED):
        raise InvalidCommitment(f"event type {event_type}")
    failed = {}
    for item in _items(report, "FailedSOPSequence"):
        reason = _value(item, "FailureReason")
        uid = _uid(item, "ReferencedSOPInstanceUID")
        failed[uid] = reason if isinstance(reason, int) else PROCESSING_FAILURE
    committed = (
        _uid(item, "ReferencedSOPInstanceUID") for item in _items(report, "ReferencedSOPSequence")
    )
    return CommitmentReport(
        transaction_uid=_uid(report, "TransactionUID"),
        committed=frozenset(committed) - set(failed),
        failed=failed,
    )


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = sop_instance_uid
    return item


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except DAMAGED as fault:
        raise InvalidCommitment(f"{keyword} cannot be read") from fault


def _items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    items = _value(dataset, keyword)
    if not items:  # an answer names no failures where there are none
        return ()
    if not isinstance(items, DicomSequence):
        raise InvalidCommitment(f"{keyword} is no sequence")
    if len(items) > MAXIMUM_OBJECTS:
        raise InvalidCommitment(f"{keyword} has more than {MAXIMUM_OBJECTS} items")
    return items


def _uid(dataset: Dataset, keyword: str) -> str:
    value = _value(dataset, keyword)
    if not isinstance(value, UID) or not value.is_valid:
        raise InvalidCommitment(f"{keyword} is missing or invalid")
    return str(value)
