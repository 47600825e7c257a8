"""Sockets of accepted associations: one system call for a PDU, and every wait has its end.

References
----------
PS3.8 section 9.1.5 (ARTIM timer).
"""

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from math import inf

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from node.dicom.certificate import name_of
from node.dicom.tls import explain
from node.receive.request_limits import REQUEST_TYPE, too_much_in
from node.receive.streaming import INVALID_PDU

MINIMUM_PDU_LIMIT_BYTES = 1 << 20
"""An association request with 128 contexts of many transfer syntaxes is larger than most PDUs."""
IDLE_WAIT_S = 0.05
CLOSED_WAIT_S = 0.001
SHORTEST_WAIT_S = 0.001  # 0 would mean no limit

CLOSING = "Sta13"  # pynetdicom's names of a state and of an event, PS3.8 tables 9-5 and 9-10
DRAINED_BYTES = 1 << 20
CLOSED = "Evt17"
REQUEST_READS = 2  # header and body of the first PDU

NOT_DICOM = (
    (b"\x16\x03", "this was TLS, on the port without TLS"),
    (b"GET ", "this was HTTP"),
    (b"POST", "this was HTTP"),
)


class BoundedSocket(AssociationSocket):
    """The socket of an accepted association.

    Parameters
    ----------
    assoc : Association
    client_socket : socket.socket
    maximum_pdu_bytes : int
        As negotiated; a PDU of more than twice that ends the connection.
    request_timeout_s : float
        How long the peer may take until its association request is complete; 0 for no limit.
    stall_timeout_s : float
        How long a PDU or a write may take afterwards; 0 for no limit.
    overdue : callable
        Why the association is to be ended though nothing is wrong with its connection, in words;
        empty if it is not. Asked whenever there is nothing to read.

    Attributes
    ----------
    first_bytes : bytes
        With which the peer began.
    why : str
        Why the connection was given up, in words; empty if it was not.
    """

    def __init__(
        self,
        assoc: Association,
        client_socket: socket.socket,
        *,
        maximum_pdu_bytes: int,
        request_timeout_s: float,
        stall_timeout_s: float,
        overdue: Callable[[], str] = str,
    ) -> None:
        client_socket.setblocking(True)
        client_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.first_bytes = b""
        self.why = ""
        self.opened_at = time.monotonic()
        self._request_timeout_s = request_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._overdue = overdue
        self._reads = 0
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
                # Not the method of SSLSocket, which pulls the cipher from under the other thread.
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
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
        if not self.event_queue.empty():
            return False  # what was read comes first: it may have been the end
        try:
            if self._is_readable():
                return True
        except (OSError, ValueError):
            self.event_queue.put(CLOSED)
            return False
        if not self.why and (why := self._overdue()):
            self.why = why
            self.event_queue.put(INVALID_PDU)
        return False

    def _is_readable(self) -> bool:
        assert self.socket is not None
        if self.assoc.dul.state_machine.current_state == CLOSING:
            self._drain()
            return False
        if self._has_read_ahead():
            return True
        ready = {descriptor for descriptor, _ in self._poll.poll(IDLE_WAIT_S * 1e3)}
        if self._wake_reader.fileno() in ready:
            self._wake_reader.recv(4096)
        return self.socket.fileno() in ready

    def recv(self, nr_bytes: int) -> bytearray:
        """Read exactly that many bytes, fewer if the peer closed the connection.

        Raises
        ------
        OSError
            The PDU is too large, an association request asks for too much, or the peer stalls.
        """
        if nr_bytes > self._limit:
            self.why = f"a PDU of {nr_bytes} bytes, at most {self._limit} are taken"
            raise OSError(self.why)
        if self.socket is None:
            raise OSError("the connection is closed")
        deadline = self._begin_read()
        received = bytearray(nr_bytes)
        view, count = memoryview(received), 0
        try:
            while count < nr_bytes:
                read = self._read_into(view[count:])
                if read == 0:
                    break
                count += read
                if count < nr_bytes and time.monotonic() >= deadline:
                    raise TimeoutError
        except (BlockingIOError, TimeoutError):  # the kernel's time-out, or ours
            self.why = self._too_slow()
            raise
        finally:
            view.release()
            if not self.first_bytes:
                self.first_bytes = bytes(received[: min(count, 6)])
        del received[count:]
        self._check_request(received)
        return received

    def _check_request(self, received: bytearray) -> None:
        """Let no association request be decoded that asks for more than there is."""
        if self._reads == REQUEST_READS and self.first_bytes[0] == REQUEST_TYPE:
            told = too_much_in(received)
            if told:
                self.why = f"an association request with {told}"
                raise OSError(self.why)

    def _drain(self) -> None:
        """Throw away what a peer still sends after the last word was said to it.

        pynetdicom would go on reading PDUs, and wait for their ends. Bytes that are left unread
        would make the system reset the connection, and the peer might never see that last word.
        """
        left = DRAINED_BYTES
        while left > 0 and self.socket is not None:
            ready = {descriptor for descriptor, _ in self._poll.poll(0)}
            if self.socket.fileno() not in ready:
                return
            got = len(socket.socket.recv(self.socket, 1 << 16))  # as it is, also of TLS
            if got == 0:
                return
            left -= got

    def _begin_read(self) -> float:
        """Return when a read must have ended; the first PDU has one deadline for all of it."""
        self._reads += 1
        if self._reads <= REQUEST_READS:
            if not self._request_timeout_s:
                return inf
            deadline = self.opened_at + self._request_timeout_s
            self._limit_waits(max(deadline - time.monotonic(), SHORTEST_WAIT_S))
            return deadline
        if self._reads == REQUEST_READS + 1:
            self._limit_waits(self._stall_timeout_s)
        return time.monotonic() + self._stall_timeout_s if self._stall_timeout_s else inf

    def _too_slow(self) -> str:
        if self._reads <= REQUEST_READS:
            return f"no association request within {self._request_timeout_s:g} s (ARTIM)"
        return f"stalled within a PDU for {self._stall_timeout_s:g} s"

    def _limit_waits(self, seconds: float) -> None:
        """Let the kernel end each read and write after that long; 0 is no limit."""
        assert self.socket is not None
        whole, part = divmod(seconds, 1)
        timeout = struct.pack("ll", int(whole), int(part * 1e6))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)

    def _read_into(self, view: memoryview) -> int:
        assert self.socket is not None
        return self.socket.recv_into(view, 0, socket.MSG_WAITALL)

    def _has_read_ahead(self) -> bool:
        return False


class TlsSocket(BoundedSocket):
    """The socket of an association over TLS; ``shake_hands`` comes first."""

    socket: ssl.SSLSocket | None

    def shake_hands(self) -> bool:
        """Tell whether the handshake succeeded; ``why`` says what was wrong with it.

        A peer that goes without having sent a byte leaves no reason: it only tried the port.
        """
        sock = self.socket
        assert sock is not None
        try:
            sock.settimeout(self._request_timeout_s or None)
            self.first_bytes = socket.socket.recv(sock, 6, socket.MSG_PEEK)
            if not self.first_bytes:
                return False
            left_s = self.opened_at + self._request_timeout_s - time.monotonic()
            sock.settimeout(max(left_s, SHORTEST_WAIT_S) if self._request_timeout_s else None)
            sock.do_handshake()
        except (OSError, ValueError) as error:  # ValueError: gone before the socket was wrapped
            if self.first_bytes or isinstance(error, TimeoutError):
                told = explain(error) if isinstance(error, OSError) else "the connection was lost"
                self.why = f"TLS: {told}"
            return False
        return True

    def describe(self) -> tuple[str, str]:
        """Return the version of TLS and the subject of the peer's certificate, if it has one."""
        assert self.socket is not None
        certificate = self.socket.getpeercert() or {}
        subject: tuple[tuple[tuple[str, str], ...], ...] = certificate.get("subject", ())  # type: ignore[assignment] # typeshed's is wider
        return self.socket.version() or "", name_of(subject)

    def _limit_waits(self, seconds: float) -> None:
        assert self.socket is not None
        self.socket.settimeout(seconds or None)

    def _read_into(self, view: memoryview) -> int:
        assert self.socket is not None
        return self.socket.recv_into(view)

    def _has_read_ahead(self) -> bool:
        return self.socket is not None and self.socket.pending() > 0
