"""Answers of peers are bounded: each PDU by what it says of its length, each message by its sum."""

import queue
from types import SimpleNamespace

import pytest
from pynetdicom.pdu_primitives import P_DATA

from node.deliver.answer_limits import (
    INVALID_PDU,
    MINIMUM_PDU_LIMIT_BYTES,
    READ_BYTES,
    limit_answers,
)

PART, LAST = b"\x00", b"\x02"


class Connection:
    """The calls of a new connection that are wrapped, and what came through to them."""

    def __init__(
        self,
        *,
        maximum_pdu_bytes: int = 16_384,
        maximum_message_bytes: int = 100,
        within_s: float = 0,
    ):
        self.asked: list[int] = []
        self.taken: list[P_DATA] = []
        self.fault: Exception | None = None
        self.timeout_s: float | None = 0
        plain = SimpleNamespace(
            recv=lambda count: self.asked.append(count) or b"", settimeout=self._set_timeout
        )
        connection = SimpleNamespace(socket=plain)
        self.dul = SimpleNamespace(socket=connection, event_queue=queue.Queue())
        self.dimse = SimpleNamespace(receive_primitive=self._take, msg_queue=queue.Queue())
        limit_answers(
            SimpleNamespace(assoc=SimpleNamespace(dul=self.dul, dimse=self.dimse)),
            maximum_pdu_bytes,
            maximum_message_bytes,
            within_s,
        )

    def _take(self, primitive: P_DATA) -> None:
        if self.fault is not None:
            raise self.fault
        self.taken.append(primitive)

    def _set_timeout(self, timeout_s: float | None) -> None:
        self.timeout_s = timeout_s

    def feed(self, *fragments: bytes) -> None:
        primitive = P_DATA()
        primitive.presentation_data_value_list.extend((1, fragment) for fragment in fragments)
        self.dimse.receive_primitive(primitive)

    @property
    def is_ended(self) -> bool:
        return not self.dul.event_queue.empty()


@pytest.mark.parametrize(
    ("offered", "limit"), [(16_384, MINIMUM_PDU_LIMIT_BYTES), (4 << 20, 8 << 20)]
)
def test_a_pdu_is_not_read_beyond_the_limit(offered, limit):
    connection = Connection(maximum_pdu_bytes=offered)
    connection.dul.socket.recv(limit)
    with pytest.raises(OSError, match=f"at most {limit}"):
        connection.dul.socket.recv(limit + 1)
    assert connection.asked == [READ_BYTES]


@pytest.mark.parametrize(("within_s", "timeout_s"), [(0, None), (7.5, 7.5)])
def test_no_read_and_no_write_is_for_ever_unless_that_is_wanted(within_s, timeout_s):
    assert Connection(within_s=within_s).timeout_s == timeout_s


@pytest.mark.parametrize(
    "feeds",
    [
        [[LAST + bytes(100)]],
        [[PART + bytes(60)], [PART + bytes(38)], [PART]],
        [[PART + bytes(60), LAST + bytes(39)]],
    ],
    ids=["one fragment", "over several PDUs", "several fragments of a PDU"],
)
def test_a_message_beyond_the_limit_ends_the_association_and_is_dropped(feeds):
    connection = Connection()
    for fragments in feeds[:-1]:
        connection.feed(*fragments)
        assert not connection.is_ended
    connection.feed(*feeds[-1])
    assert connection.dul.event_queue.get_nowait() == INVALID_PDU
    assert connection.dimse.msg_queue.get_nowait() == (None, None)
    assert len(connection.taken) == len(feeds) - 1


def test_a_message_that_cannot_be_decoded_ends_the_association():
    connection = Connection()
    connection.fault = AttributeError()
    connection.feed(LAST + bytes(10))
    assert connection.dul.event_queue.get_nowait() == INVALID_PDU
    assert connection.dimse.msg_queue.get_nowait() == (None, None)


def test_messages_are_counted_each_by_itself():
    connection = Connection()
    for _ in range(10):
        connection.feed(PART + bytes(48))
        connection.feed(LAST + bytes(48))
    assert not connection.is_ended
    assert len(connection.taken) == 20
