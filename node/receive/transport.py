"""pynetdicom's network layer, made fit for a listener under load.

What differs from pynetdicom 3.0: a PDU is read with one system call and has a maximum size,
Nagle's delay is off, both threads of an association sleep until something happens instead of
waking every millisecond, supported contexts are shared and not copied for each association,
and a peer that stalls in the middle of a PDU is given up after the network timeout; until it has
asked for an association, after the ARTIM timeout, however slowly it sends. Everything here that
leans on pynetdicom's inner parts is in this file, ``bounded_socket`` and ``streaming``.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from socketserver import BaseServer
from typing import Any

import structlog
from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom._handlers import (
    standard_dimse_recv_handler,
    standard_dimse_sent_handler,
    standard_pdu_recv_handler,
    standard_pdu_sent_handler,
)
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ABORT
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from node.dicom.tls import RenewedContext
from node.receive.bounded_socket import CLOSED, NOT_DICOM, BoundedSocket, TlsSocket
from node.receive.reception import Reception, printable
from node.receive.streaming import INVALID_PDU, StoreSink, StreamingProvider, Tally
from node.storage.associations import AssociationRecord
from node.telemetry.audit.throttle import Throttle

log = structlog.get_logger()

CONNECTION_ENDS = (CLOSED, "Evt18", INVALID_PDU)  # Evt18: ARTIM (PS3.8 table 9-10)
CONNECTION_BACKLOG = 128
SPARE_CONNECTIONS = 16
TELL_EVERY_S = 60.0
"""Of connections beyond what is taken, one of an address is recorded in that time."""
MAXIMUM_SUBJECT = 200

_PER_PDU_LOGGING = (
    (evt.EVT_DIMSE_RECV, standard_dimse_recv_handler),
    (evt.EVT_DIMSE_SENT, standard_dimse_sent_handler),
    (evt.EVT_PDU_RECV, standard_pdu_recv_handler),
    (evt.EVT_PDU_SENT, standard_pdu_sent_handler),
)


class SignallingQueue(queue.Queue[Any]):
    """A queue that calls back with every item that was put."""

    def __init__(self, signal: Callable[[Any], object]) -> None:
        super().__init__()
        self._signal = signal

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an item and tell who waits elsewhere."""
        super().put(item, block, timeout)
        self._signal(item)


class StreamingAssociation(Association):
    """An accepted association whose C-STORE data sets go to temp files.

    Parameters
    ----------
    ae : AE
    sink : StoreSink
    reception : Reception
    record : AssociationRecord
        What is known of it so far.

    Attributes
    ----------
    permissions : tuple of str
        What the peer may ask for; empty if nothing is forbidden.
    follow_ups : list of callable
        What the handler of a request wants done once the request is answered, in the thread that
        also takes the peer's answers: nobody else can take them meanwhile.
    """

    def __init__(
        self, ae: Any, sink: StoreSink, reception: Reception, record: AssociationRecord
    ) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
        self.record = record
        self.permissions: tuple[str, ...] = ()
        self._reception = reception
        self._why = ""
        self._lost_by = ""
        self.follow_ups: list[Callable[[], None]] = []
        self._streaming = StreamingProvider(self, sink)
        self.dimse = self._streaming
        # the network thread waits in BoundedSocket.ready, the reactor in StreamingProvider
        self.dul._run_loop_delay = 0
        self.dul.to_provider_queue = SignallingQueue(self._wake_network)
        self.dul.to_user_queue = SignallingQueue(self._wake_reactor)
        self.dul.event_queue = SignallingQueue(self._note_lost_connection)
        for event, handler in _PER_PDU_LOGGING:
            self.unbind(event, handler)

    def run_reactor(self) -> None:
        """Serve the association; leave no temp file behind, however it ends."""
        connection = self.dul.socket
        try:
            if not isinstance(connection, TlsSocket) or self._shake_hands(connection):
                super().run_reactor()
        finally:
            self.dul.kill_dul()
            self._wake_network()
            if self._started_dul:
                self.dul.join()
            elif connection is not None:
                connection.close()
            self._streaming.abandon()
            if isinstance(connection, BoundedSocket):
                connection.close_wakers()
            self._reception.end(self)

    @property
    def _connection(self) -> BoundedSocket | None:
        connection = self.dul.socket
        return connection if isinstance(connection, BoundedSocket) else None

    @property
    def tally(self) -> Tally:
        """What was stored so far."""
        return self._streaming.tally

    def why_ended(self) -> str:
        """Return in words why it ended otherwise than by release; empty if it is not known."""
        connection = self._connection
        why = connection.why if connection is not None else ""
        if why or self._why:
            return why or self._why
        if self.requestor.primitive is None:
            return self._why_not_requested(connection) if connection is not None else ""
        invalid = self._lost_by == INVALID_PDU
        return "bytes that are no valid PDU or message" if invalid else "the connection was lost"

    def _why_not_requested(self, connection: BoundedSocket) -> str:
        for beginning, told in NOT_DICOM:
            if connection.first_bytes.startswith(beginning):
                return told
        if self._lost_by == INVALID_PDU:
            return "the first bytes were no association request"
        limit_s = self.acse_timeout
        if limit_s and time.monotonic() - connection.opened_at >= limit_s:
            return f"no association request within {limit_s:g} s (ARTIM)"
        spoke = bool(connection.first_bytes)
        return "the connection ended before an association was asked for" if spoke else ""

    def why_overdue(self) -> str:
        """Return why it is to be ended while the peer is silent; empty if it is not."""
        if self._streaming.is_overdue(self.dimse_timeout):
            return f"no rest of an object within {self.dimse_timeout:g} s"
        return ""

    def _shake_hands(self, connection: TlsSocket) -> bool:
        if not connection.shake_hands():
            return False
        version, subject = connection.describe()
        subject = printable(subject, MAXIMUM_SUBJECT)
        self.record = replace(self.record, tls=version, certificate=subject)
        return True

    def _serve_request(self, msg: Any, context_id: int) -> None:
        super()._serve_request(msg, context_id)
        # N-EVENT-REPORT is served in a thread of its own
        while self.follow_ups and self.is_established and threading.current_thread() is self:
            self.follow_ups.pop(0)()

    def end(self) -> None:
        """End the association, or the connection on which none was requested yet."""
        self._why = self._why or "the node stopped"
        if self.is_established:
            self.abort()
        elif self._connection is not None:
            self._connection.interrupt()

    def _wake_network(self, _primitive: Any = None) -> None:
        if self._connection is not None:
            self._connection.wake()

    def _wake_reactor(self, primitive: Any) -> None:
        if isinstance(primitive, A_ABORT):
            self._why = self._why or "the peer aborted"
        self.dimse.msg_queue.put((None, None))

    def _abort_blocking(self, block: bool = True) -> None:
        if self.dul.idle_timer_expired():
            self._why = self._why or f"idle for {self.network_timeout:g} s"
        super()._abort_blocking(block)

    def _note_lost_connection(self, event: str) -> None:
        """Let a connection that ends without a request free its place now, not at the timeout.

        Port scans and health checks that only connect would otherwise use up the associations.
        """
        if event not in CONNECTION_ENDS:
            return
        self._lost_by = self._lost_by or event
        if self.requestor.primitive is None:
            self.dul.to_user_queue.put(None)


class AcceptingHandler(RequestHandler):
    """Makes the association of a new connection."""

    server: "ListeningServer"

    def _create_association(self) -> Association:
        server, ae = self.server, self.ae
        record = server.reception.begin(
            address=self.client_address[0], port=int(server.server_address[1])
        )
        assoc = StreamingAssociation(ae, server.sink, server.reception, record)
        assoc._server = server
        assoc.name = f"AcceptorThread-{self.client_address[1]}"
        assoc.set_socket(
            (TlsSocket if isinstance(self.request, ssl.SSLSocket) else BoundedSocket)(
                assoc,
                self.request,
                maximum_pdu_bytes=ae.maximum_pdu_size,
                request_timeout_s=ae.acse_timeout or 0,
                stall_timeout_s=ae.network_timeout or 0,
                overdue=assoc.why_overdue,
            )
        )
        assoc.acceptor.maximum_length = ae.maximum_pdu_size
        assoc.acceptor.ae_title = server.ae_title
        assoc.acceptor.address_info = self.local
        assoc.acceptor.implementation_class_uid = ae.implementation_class_uid
        assoc.acceptor.implementation_version_name = ae.implementation_version_name
        assoc.acceptor.supported_contexts = server.contexts
        assoc.requestor.address_info = self.remote
        for event, handler, arguments in server.event_handlers:
            assoc.bind(event, handler, arguments)
        return assoc


class ListeningServer(ThreadedAssociationServer):
    """The server socket.

    Parameters
    ----------
    *args, **kwargs
        Those of pynetdicom's server.
    sink : StoreSink
    reception : Reception
    maximum_connections : callable
        How many connections there may be, with and without association; each costs two threads.
    tls : RenewedContext, optional
        Without it, the server speaks no TLS.
    """

    request_queue_size = CONNECTION_BACKLOG
    daemon_threads = True

    def __init__(
        self,
        *args: Any,
        sink: StoreSink,
        reception: Reception,
        maximum_connections: Callable[[], int],
        tls: RenewedContext | None = None,
        **kwargs: Any,
    ) -> None:
        self.sink = sink
        self.reception = reception
        self._maximum_connections = maximum_connections
        self._tls = tls
        self._turned_away = Throttle(every_s=TELL_EVERY_S, clock=time.monotonic)
        self.event_handlers = [
            (event, handler, list(rest[0]) if rest else None)
            for event, handler, *rest in kwargs.get("evt_handlers") or []
        ]
        super().__init__(*args, **{**kwargs, "request_handler": AcceptingHandler})

    def verify_request(self, _request: Any, client_address: Any) -> bool:
        """Refuse bare connections beyond what associations can use."""
        most, address = self._maximum_connections(), client_address[0]
        if len(self.active_associations) < most:
            return True
        untold = self._turned_away.admit(address)
        if untold is not None:  # whoever causes this may try a thousand times a second
            reason = f"{most} connections are open, and no more are taken"
            if untold:
                reason += f" ({untold} more of this address were closed since that was told)"
            log.warning("connection.refused", address=address, reason=reason)
            port = int(self.server_address[1])
            self.reception.turn_away(address=address, port=port, reason=reason)
        return False

    def get_request(self) -> tuple[socket.socket, Any]:
        """Take a connection; TLS begins in the thread of its association, not here."""
        connection, address = super().get_request()
        if self._tls is not None:
            try:
                connection = self._tls.get().wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except (OSError, ValueError) as error:
                connection.close()
                raise OSError("the connection ended before TLS began") from error
        return connection, address

    def shutdown(self) -> None:
        """Stop accepting and close the server socket."""
        BaseServer.shutdown(self)  # not pynetdicom's, which expects a server that the AE started
        self.server_close()
