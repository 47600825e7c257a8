"""A peer that sends requests faster than they are answered is stopped before memory is."""

import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.pdu_primitives import P_DATA

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
