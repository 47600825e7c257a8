"""How much a peer that the node calls may answer, and how slowly; pynetdicom takes whatever comes.

A PDU names its length before it comes, and a message ends when the peer says so. pynetdicom's own
time-outs look between PDUs only: who stops in the middle of one, or takes nothing any more, would
hold the thread of the association for ever, and with it whoever waits for its end.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from typing import Any

import structlog
from pynetdicom import evt
from pynetdicom.pdu_primitives import P_DATA

log = structlog.get_logger()

MAXIMUM_ANSWER_BYTES = 16 << 20
"""Of one message: an answer to C-FIND is some 1 kB, a report on 20,000 objects some 3 MB."""
MINIMUM_PDU_LIMIT_BYTES = 1 << 20
READ_BYTES = 1 << 16
INVALID_PDU = "Evt19"  # pynetdicom's name of the event that ends an association by A-ABORT
LAST_FRAGMENT = 0x02  # bit of the message control header, PS3.8 annex E.2


def limit_answers(
    event: evt.Event, maximum_pdu_bytes: int, maximum_message_bytes: int, within_s: float
) -> None:
    """Bound PDUs and messages of a new connection.

    Parameters
    ----------
    event : Event
        That the connection is open.
    maximum_pdu_bytes : int
        As offered; a PDU of more than twice that (and 1 MiB) ends the connection.
    maximum_message_bytes : int
        Of a command or of a data set; more ends the association.
    within_s : float
        How long a PDU may take to come, and a peer to take more of what is sent; 0 for no limit.
    """
    dul, dimse = event.assoc.dul, event.assoc.dimse
    connection = dul.socket
    if connection is None or connection.socket is None:
        return
    connection.socket.settimeout(within_s or None)
    reader = _Reader(
        receive=connection.socket.recv,
        limit_bytes=max(2 * maximum_pdu_bytes, MINIMUM_PDU_LIMIT_BYTES),
        within_s=within_s,
    )
    taker = _Taker(
        take=dimse.receive_primitive,
        events=dul.event_queue,
        messages=dimse.msg_queue,
        limit_bytes=maximum_message_bytes,
    )
    # of this connection alone
    connection.recv = reader.read  # type: ignore[method-assign] # as said
    dimse.receive_primitive = taker.take_bounded  # type: ignore[method-assign] # as said


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Reads parts of PDUs from a socket."""

    receive: Callable[[int], bytes]
    limit_bytes: int
    within_s: float

    def read(self, nr_bytes: int) -> bytearray:
        """Return so many bytes, fewer where the peer has ended the connection."""
        if nr_bytes > self.limit_bytes:
            raise OSError(f"a PDU of {nr_bytes} bytes, at most {self.limit_bytes} are taken")
        received, end_s = bytearray(), time.monotonic() + self.within_s
        while len(received) < nr_bytes:
            came = self.receive(min(nr_bytes - len(received), READ_BYTES))
            if not came:
                break
            received += came
            if self.within_s and time.monotonic() > end_s:
                raise TimeoutError("a PDU that does not come to its end")
        return received


@dataclass(kw_only=True)
class _Taker:
    """Takes fragments of messages, and counts the bytes of each message."""

    take: Callable[[P_DATA], None]
    events: Queue[str]
    messages: Queue[Any]
    limit_bytes: int
    size_bytes: int = 0

    def take_bounded(self, primitive: P_DATA) -> None:
        """Take the fragments of a PDU; too many, or such as are none, end the association."""
        fragments = [fragment for _, fragment in primitive.presentation_data_value_list]
        self.size_bytes += sum(map(len, fragments))
        if self.size_bytes > self.limit_bytes:
            log.warning("answer.too_large", maximum_bytes=self.limit_bytes)
            self._end()
            return
        if any(fragment[0] & LAST_FRAGMENT for fragment in fragments if fragment):
            self.size_bytes = 0
        try:
            self.take(primitive)
        except Exception as error:  # noqa: BLE001 - it would end the thread, and not the connection
            log.warning("answer.not_readable", error=type(error).__name__)
            self._end()

    def _end(self) -> None:
        self.events.put(INVALID_PDU)
        self.messages.put((None, None))  # who waits for the answer waits no longer
