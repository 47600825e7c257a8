"""Requests and answers of Storage Commitment, as peers write them and as they should not."""

import pytest
from pydicom import Dataset

from node.dicom.commitment import (
    ALL_COMMITTED,
    SOME_FAILED,
    InvalidCommitment,
    read_report,
    read_request,
    report_of,
    write_request,
)
from node.domain.commitment import CommitmentVerdict, verdict_of

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


def test_a_request_is_read_as_it_was_written() -> None:
    objects = ((CT, "1.2.1"), (MR, "1.2.2"))
    assert read_request(write_request("2.25.1", objects)) == ("2.25.1", objects)


def test_what_is_held_decides_the_answer() -> None:
    objects = [(CT, "1.1"), (CT, "1.2"), (CT, "1.3")]
    event_type, answer = report_of("2.25.1", objects, {"1.1": CT, "1.2": MR})
    assert event_type == SOME_FAILED
    report = read_report(event_type, answer)
    assert report.transaction_uid == "2.25.1"
    assert report.committed == {"1.1"}
    assert report.failed == {"1.2": 0x0119, "1.3": 0x0112}
    event_type, answer = report_of("2.25.1", objects[:1], {"1.1": CT})
    assert event_type == ALL_COMMITTED
    assert "FailedSOPSequence" not in answer


def test_what_stands_in_both_lists_has_failed() -> None:
    _, answer = report_of("2.25.1", [(CT, "1.1"), (CT, "1.2")], {"1.1": CT})
    answer.ReferencedSOPSequence.append(answer.FailedSOPSequence[0])
    report = read_report(ALL_COMMITTED, answer)
    assert report.committed == {"1.1"}
    assert report.failed == {"1.2": 0x0112}


def test_a_failure_without_reason_is_a_processing_failure() -> None:
    _, answer = report_of("2.25.1", [(CT, "1.2")], {})
    del answer.FailedSOPSequence[0].FailureReason
    assert read_report(SOME_FAILED, answer).failed == {"1.2": 0x0110}


def broken(keyword: str, value: object) -> Dataset:
    request = write_request("2.25.1", [(CT, "1.1")])
    place = request if keyword in request else request.ReferencedSOPSequence[0]
    if value is None:
        delattr(place, keyword)
    else:
        setattr(place, keyword, value)
    return request


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("TransactionUID", None),
        ("TransactionUID", "../etc"),
        ("TransactionUID", "1." * 40 + "1"),
        ("ReferencedSOPSequence", None),
        ("ReferencedSOPSequence", []),
        ("ReferencedSOPInstanceUID", None),
        ("ReferencedSOPInstanceUID", "1.2.abc"),
        ("ReferencedSOPClassUID", ""),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_broken_requests_are_refused(keyword: str, value: object) -> None:
    with pytest.raises(InvalidCommitment):
        read_request(broken(keyword, value))


def test_unknown_event_types_are_refused() -> None:
    with pytest.raises(InvalidCommitment, match="3"):
        read_report(3, write_request("2.25.1", [(CT, "1.1")]))


def test_unknown_reasons_are_asked_about_again() -> None:
    assert verdict_of(0xBEEF) == (CommitmentVerdict.ASK_AGAIN, "0xBEEF unknown reason")
    assert verdict_of(0x0112)[0] is CommitmentVerdict.SEND_AGAIN
