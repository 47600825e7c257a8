"""How much a peer that the node calls may answer; pynetdicom takes whatever comes.

A PDU names its length before it comes, and a message ends when the peer says so.
"""

import structlog
from pynetdicom import evt
from pynetdicom.pdu_primitives import P_DATA

log = structlog.get_logger()

MAXIMUM_ANSWER_BYTES = 16 << 20
"""Of one message: an answer to C-FIND is some 1 kB, a report on 20,000 objects some 3 MB."""
MINIMUM_PDU_LIMIT_BYTES = 1 << 20
INVALID_PDU = "Evt19"  # pynetdicom's name of the event that ends an association by A-ABORT
LAST_FRAGMENT = 0x02  # bit of the message control header, PS3.8 annex E.2


def limit_answers(event: evt.Event, maximum_pdu_bytes: int, maximum_message_bytes: int) -> None:
    """Bound PDUs and messages of a new connection.

    Parameters
    ----------
    event : Event
        That the connection is open.
    maximum_pdu_bytes : int
        As offered; a PDU of more than twice that (and 1 MiB) ends the connection.
    maximum_message_bytes : int
        Of a command or of a data set; more ends the association.
    """
    dul, dimse = event.assoc.dul, event.assoc.dimse
    connection = dul.socket
    if connection is None:
        return
    receive, take = connection.recv, dimse.receive_primitive
    limit = max(2 * maximum_pdu_bytes, MINIMUM_PDU_LIMIT_BYTES)
    size_bytes = 0

    def receive_bounded(nr_bytes: int) -> bytearray:
        if nr_bytes > limit:
            raise OSError(f"a PDU of {nr_bytes} bytes, at most {limit} are taken")
        return receive(nr_bytes)

    def take_bounded(primitive: P_DATA) -> None:
        nonlocal size_bytes
        fragments = [fragment for _, fragment in primitive.presentation_data_value_list]
        size_bytes += sum(map(len, fragments))
        if size_bytes > maximum_message_bytes:
            log.warning("answer.too_large", maximum_bytes=maximum_message_bytes)
            dul.event_queue.put(INVALID_PDU)
            dimse.msg_queue.put((None, None))  # who waits for the answer waits no longer
            return
        if any(fragment[0] & LAST_FRAGMENT for fragment in fragments if fragment):
            size_bytes = 0
        take(primitive)

    connection.recv = receive_bounded  # type: ignore[method-assign] # of this connection alone
    dimse.receive_primitive = take_bounded  # type: ignore[method-assign] # likewise
