"""pynetdicom's network layer, made fit for a listener under load.

What differs from pynetdicom 3.0: a PDU is read with one system call and has a maximum size,
Nagle's delay is off, both threads of an association sleep until something happens instead of
waking every millisecond, supported contexts are shared and not copied for each association,
and a peer that stalls in the middle of a PDU is given up after the network timeout. Everything
here that leans on pynetdicom's inner parts is in this file and in ``streaming``.
"""

import queue
import select
import socket
import struct
import time
from collections.abc import Callable
from socketserver import BaseServer
from typing import Any

from pynetdicom import evt
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom._handlers import (
    standard_dimse_recv_handler,
    standard_dimse_sent_handler,
    standard_pdu_recv_handler,
    standard_pdu_sent_handler,
)
from pynetdicom.association import Association
from pynetdicom.transport import (
    AssociationSocket,
    RequestHandler,
    ThreadedAssociationServer,
)

from node.receive.streaming import StoreSink, StreamingProvider

MINIMUM_PDU_LIMIT_BYTES = 1 << 20
"""An association request with 128 contexts of many transfer syntaxes is larger than most PDUs."""
IDLE_WAIT_S = 0.05
CLOSED_WAIT_S = 0.001
CONNECTION_ENDS = ("Evt17", "Evt18", "Evt19")  # closed, timed out, invalid PDU (PS3.8 table 9-10)
CONNECTION_BACKLOG = 128
SPARE_CONNECTIONS = 16

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


class BoundedSocket(AssociationSocket):
    """The socket of an accepted association.

    Parameters
    ----------
    assoc : Association
    client_socket : socket.socket
    maximum_pdu_bytes : int
        As negotiated; a PDU of more than twice that ends the connection.
    stall_timeout_s : float
        How long a read or write may wait for the peer.
    """

    def __init__(
        self,
        assoc: Association,
        client_socket: socket.socket,
        *,
        maximum_pdu_bytes: int,
        stall_timeout_s: float,
    ) -> None:
        client_socket.setblocking(True)
        client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if stall_timeout_s > 0:
            whole, part = divmod(stall_timeout_s, 1)
            timeout = struct.pack("ll", int(whole), int(part * 1e6))
            client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
            client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
        self._limit = max(2 * maximum_pdu_bytes, MINIMUM_PDU_LIMIT_BYTES)
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._poll = select.poll()  # select.select ends at descriptor 1024
        self._poll.register(client_socket, select.POLLIN)
        self._poll.register(self._wake_reader, select.POLLIN)
        super().__init__(assoc, client_socket=client_socket)

    def wake(self) -> None:
        """Interrupt the wait for data: there is something to send."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:  # full: it wakes anyway; closed: the association has ended
            return

    def interrupt(self) -> None:
        """End the connection: whoever waits for the peer finds it closed."""
        try:
            if self.socket is not None:
                self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # closed already
            return

    def close_wakers(self) -> None:
        """Close what ``wake`` uses, once the network thread has ended."""
        self._wake_reader.close()
        self._wake_writer.close()

    @property
    def ready(self) -> bool:
        """Tell whether there is something to read; waits a moment for it."""
        if self.socket is None or not self._is_connected:
            time.sleep(CLOSED_WAIT_S)
            return False
        try:
            ready = {descriptor for descriptor, _ in self._poll.poll(IDLE_WAIT_S * 1e3)}
            if self._wake_reader.fileno() in ready:
                self._wake_reader.recv(4096)
            return self.socket.fileno() in ready
        except (OSError, ValueError):
            self.event_queue.put("Evt17")
            return False

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly that many bytes, fewer if the peer closed the connection.

        Raises
        ------
        OSError
            The PDU is too large, or the peer stalls.
        """
        if nr_bytes > self._limit:
            raise OSError(f"PDU of {nr_bytes} bytes, at most {self._limit} are accepted")
        if self.socket is None:
            raise OSError("the connection is closed")
        received = bytearray(nr_bytes)
        view, count = memoryview(received), 0
        while count < nr_bytes:
            read = self.socket.recv_into(view[count:], 0, socket.MSG_WAITALL)
            if read == 0:
                break
            count += read
        view.release()
        del received[count:]
        return received


class StreamingAssociation(Association):
    """An accepted association whose C-STORE data sets go to temp files.

    Parameters
    ----------
    ae : AE
    sink : StoreSink

    Attributes
    ----------
    follow_ups : list of callable
        What the handler of a request wants done once the request is answered, in the thread that
        also takes the peer's answers: nobody else can take them meanwhile.
    """

    def __init__(self, ae: Any, sink: StoreSink) -> None:
        super().__init__(ae, MODE_ACCEPTOR)
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
        try:
            super().run_reactor()
        finally:
            self.dul.kill_dul()
            self._wake_network()
            self.dul.join()
            self._streaming.abandon()
            if isinstance(self.dul.socket, BoundedSocket):
                self.dul.socket.close_wakers()

    def _serve_request(self, msg: Any, context_id: int) -> None:
        super()._serve_request(msg, context_id)
        while self.follow_ups and self.is_established:
            self.follow_ups.pop(0)()

    def end(self) -> None:
        """End the association, or the connection on which none was requested yet."""
        if self.is_established:
            self.abort()
        elif isinstance(self.dul.socket, BoundedSocket):
            self.dul.socket.interrupt()

    def _wake_network(self, _primitive: Any = None) -> None:
        if isinstance(self.dul.socket, BoundedSocket):
            self.dul.socket.wake()

    def _wake_reactor(self, _primitive: Any) -> None:
        self.dimse.msg_queue.put((None, None))

    def _note_lost_connection(self, event: str) -> None:
        """Let a connection that ends without a request free its place now, not at the timeout.

        Port scans and health checks that only connect would otherwise use up the associations.
        """
        if event in CONNECTION_ENDS and self.requestor.primitive is None:
            self.dul.to_user_queue.put(None)


class AcceptingHandler(RequestHandler):
    """Makes the association of a new connection."""

    server: "ListeningServer"

    def _create_association(self) -> Association:
        server, ae = self.server, self.ae
        assoc = StreamingAssociation(ae, server.sink)
        assoc._server = server
        assoc.name = f"AcceptorThread-{self.client_address[1]}"
        assoc.set_socket(
            BoundedSocket(
                assoc,
                self.request,
                maximum_pdu_bytes=ae.maximum_pdu_size,
                stall_timeout_s=ae.network_timeout or 0,
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
    """

    request_queue_size = CONNECTION_BACKLOG
    daemon_threads = True

    def __init__(self, *args: Any, sink: StoreSink, **kwargs: Any) -> None:
        self.sink = sink
        self.event_handlers = [
            (event, handler, list(rest[0]) if rest else None)
            for event, handler, *rest in kwargs.get("evt_handlers") or []
        ]
        super().__init__(*args, **{**kwargs, "request_handler": AcceptingHandler})

    def verify_request(self, *_request: Any) -> bool:
        """Refuse bare connections beyond what associations can use, each costs two threads."""
        return len(self.active_associations) < 2 * self.ae.maximum_associations + SPARE_CONNECTIONS

    def shutdown(self) -> None:
        """Stop accepting and close the server socket."""
        BaseServer.shutdown(self)  # not pynetdicom's, which expects a server that the AE started
        self.server_close()
