"""C-STORE command sets against pynetdicom's encoding of the same messages."""

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import CTImageStorage
from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.pdu import P_DATA_TF

from node.receive.store_command import StoreAnswer, StoreRequest, read_request, write_response


def encode_request(data: bytes | None = b"x") -> bytes:
    primitive = C_STORE()
    primitive.MessageID, primitive.Priority = 77, 2
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = CTImageStorage, "1.2.3"
    primitive.DataSet = BytesIO(data) if data else None
    message = C_STORE_RQ()
    message.primitive_to_message(primitive)
    first = next(iter(message.encode_msg(5, 16384)))
    return first.presentation_data_value_list[0][1][1:]


def test_a_request_of_pynetdicom_is_read() -> None:
    expected = StoreRequest(
        context_id=5,
        message_id=77,
        sop_class_uid=CTImageStorage,
        sop_instance_uid="1.2.3",
        has_data_set=True,
    )
    assert read_request(5, encode_request()) == expected
    without = read_request(5, encode_request(None))
    assert without is not None
    assert not without.has_data_set


def test_other_commands_are_left_to_others() -> None:
    primitive = C_ECHO()
    primitive.MessageID, primitive.AffectedSOPClassUID = 1, "1.2.840.10008.1.1"
    message = C_ECHO_RQ()
    message.primitive_to_message(primitive)
    first = next(iter(message.encode_msg(1, 16384)))
    assert read_request(1, first.presentation_data_value_list[0][1][1:]) is None


@pytest.mark.parametrize("cut", [1, 7, 9, 30])
def test_a_cut_command_is_no_command(cut: int) -> None:
    with pytest.raises(ValueError, match="command set"):
        read_request(1, encode_request()[:-cut])


def test_a_request_that_cannot_be_answered() -> None:
    command = struct.pack("<HHLH", 0, 0x0100, 2, 1)
    with pytest.raises(ValueError, match="message ID"):
        read_request(1, command)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(command: bytes) -> None:
    try:
        read_request(1, command)
    except ValueError:
        return


@pytest.mark.parametrize(
    "answer",
    [
        StoreAnswer(status=0x0000),
        StoreAnswer(status=0xA900, comment="odd", offending=(0x0020000D, 0x00080018)),
        StoreAnswer(status=0xC003, comment="a comment"),
    ],
)
def test_pynetdicom_reads_the_response(answer: StoreAnswer) -> None:
    request = read_request(5, encode_request())
    assert request is not None
    pdu = P_DATA_TF()
    pdu.decode(write_response(request, answer))
    message = DIMSEMessage()
    assert message.decode_msg(pdu.to_primitive())
    assert message.context_id == 5
    response = message.message_to_primitive()
    assert isinstance(response, C_STORE)
    assert response.is_valid_response
    assert response.Status == answer.status
    assert response.MessageIDBeingRespondedTo == 77
    assert response.AffectedSOPInstanceUID == "1.2.3"
    assert (response.ErrorComment or "") == answer.comment
    offending = response.OffendingElement
    tags = () if offending is None else tuple(int(tag) for tag in offending)
    assert tags == answer.offending
    length = message.command_set.CommandGroupLength
    assert length == len(write_response(request, answer)) - 6 - 6 - 12
