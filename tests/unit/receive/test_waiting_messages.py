"""A peer that sends more than is answered or taken is stopped before memory is."""

from io import BytesIO

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ, N_ACTION_RQ
from pynetdicom.dimse_primitives import C_ECHO, N_ACTION
from pynetdicom.pdu_primitives import P_DATA

from node.dicom.commitment import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from node.receive import streaming
from node.receive.streaming import INVALID_PDU, StreamingProvider


def echo_request(number: int) -> list[P_DATA]:
    request = C_ECHO()
    request.MessageID = number
    request.AffectedSOPClassUID = "1.2.840.10008.1.1"
    message = C_ECHO_RQ()
    message.primitive_to_message(request)
    return list(message.encode_msg(1, 16_384))


def test_requests_wait_up_to_a_number_and_not_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MAXIMUM_WAITING_MESSAGES", 5)
    association = Association(AE(), "acceptor")
    provider = StreamingProvider(association, sink=None)
    events = association.dul.event_queue
    for number in range(1, 7):
        for primitive in echo_request(number):
            provider.receive_primitive(primitive)
        assert events.empty()
    for primitive in echo_request(7):
        provider.receive_primitive(primitive)
    assert events.get_nowait() == INVALID_PDU
    assert provider.msg_queue.qsize() == 6
    provider.get_msg()
    provider.get_msg()
    for primitive in echo_request(8):
        provider.receive_primitive(primitive)
    assert events.empty()


def feed(provider: StreamingProvider, fragment: bytes) -> None:
    part = P_DATA()
    part.presentation_data_value_list.append((1, fragment))
    provider.receive_primitive(part)


def test_a_command_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MAXIMUM_COMMAND_BYTES", 100)
    association = Association(AE(), "acceptor")
    provider = StreamingProvider(association, sink=None)
    for size in (60, 40):
        feed(provider, bytes((streaming.COMMAND_FRAGMENT,)) + bytes(size))
    assert association.dul.event_queue.empty()
    feed(provider, bytes((streaming.COMMAND_FRAGMENT, 0)))
    assert association.dul.event_queue.get_nowait() == INVALID_PDU


@pytest.mark.parametrize(("limit", "is_taken"), [(400, True), (200, False)])
def test_a_data_set_that_is_no_object_may_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch, limit: int, is_taken: bool
) -> None:
    monkeypatch.setattr(streaming, "MAXIMUM_REQUEST_BYTES", limit)
    association = Association(AE(), "acceptor")
    provider = StreamingProvider(association, sink=None)
    request = N_ACTION()
    request.MessageID, request.ActionTypeID = 1, 1
    request.RequestedSOPClassUID = STORAGE_COMMITMENT
    request.RequestedSOPInstanceUID = STORAGE_COMMITMENT_INSTANCE
    request.ActionInformation = BytesIO(bytes(300))
    message = N_ACTION_RQ()
    message.primitive_to_message(request)
    for primitive in message.encode_msg(1, 64):
        provider.receive_primitive(primitive)
    assert association.dul.event_queue.empty() == is_taken
    assert provider.msg_queue.qsize() == is_taken
