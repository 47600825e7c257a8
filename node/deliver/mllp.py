"""HL7 messages over MLLP, one at a time, each with the answer that it got.

A message counts as accepted with the answer to it, and with nothing less. Where the answer is lost,
the same message goes out again, under the same control id.

References
----------
HL7 v2.5.1 chapter 2.10 (control id), implementation guide "Transport Specification: MLLP,
Release 1" (framing); RFC 8446 and ``node.dicom.tls`` (TLS).
"""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from node.config.settings import DeliverSettings, Hl7, Peer
from node.deliver.c_store import SendOutcome
from node.deliver.calling import TlsCall
from node.deliver.hl7_answer import NoAnswer, read_answer
from node.deliver.messages import address_oru, send_each
from node.deliver.status import Verdict
from node.domain.errors import SetupFault, TryLater

START, END = b"\x0b", b"\x1c\r"
MAXIMUM_ANSWER_BYTES = 1 << 16
"""Of one acknowledgement."""
LONGEST_WAIT_S = 600.0
"""Where the settings name no limit."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """An open connection to a receiver.

    Parameters
    ----------
    connection : socket.socket
    answer_timeout_s : float
    """

    connection: socket.socket
    answer_timeout_s: float

    def ask(self, text: str) -> bytes:
        """Send a message and return the one that is answered, without its frame.

        Raises
        ------
        OSError
            If the connection fails, or no answer comes in time.
        NoAnswer
            If what comes is no frame.
        """
        self.connection.settimeout(self.answer_timeout_s)
        self.connection.sendall(START + text.encode() + END)
        deadline = time.monotonic() + self.answer_timeout_s
        held = b""
        while END not in held:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("no answer in time")
            self.connection.settimeout(left_s)
            came = self.connection.recv(4096)
            if not came:
                raise ConnectionResetError("the connection ended before the answer")
            held += came
            if len(held) > MAXIMUM_ANSWER_BYTES:
                raise NoAnswer(f"an answer of more than {MAXIMUM_ANSWER_BYTES} bytes")
        frame = held.partition(END)[0].lstrip(b"\r\n")
        if not frame.startswith(START):
            raise NoAnswer("the answer has no MLLP frame")
        return frame[len(START) :]


@contextmanager
def open_line(peer: Peer, settings: DeliverSettings) -> Iterator[Line]:
    """Connect to a receiver, by TLS where ``peers.yaml`` says so.

    Raises
    ------
    TryLater
        If it cannot be reached, or TLS fails.
    """
    call = TlsCall(peer) if peer.tls else None
    try:
        plain = socket.create_connection(
            (peer.host, peer.port), timeout=settings.acse_timeout_s or LONGEST_WAIT_S
        )
    except OSError as error:
        raise TryLater(f"{peer.name}: no connection: {_words(error)}") from None
    connection = plain
    try:
        if call is not None:
            context, host = call.arguments
            try:
                connection = context.wrap_socket(plain, server_hostname=host)
            except OSError as error:
                raise TryLater(f"{peer.name}: {call.reason or _words(error)}") from None
        yield Line(
            connection=connection, answer_timeout_s=settings.dimse_timeout_s or LONGEST_WAIT_S
        )
    finally:
        connection.close()


def send_messages(
    paths: Sequence[Path],
    *,
    peer: Peer,
    settings: DeliverSettings,
    on_outcome: Callable[[SendOutcome], None] = lambda _: None,
    wanted: Callable[[Path], bool] = lambda _: True,
) -> tuple[SendOutcome, ...]:
    """Send messages; see ``node.deliver.c_store.send_objects`` for the parameters.

    Each has a connection of its own: they are few, and nothing of one can then be taken for an
    answer to the next.

    Returns
    -------
    tuple of SendOutcome
        One for each path that was wanted, in order.

    Raises
    ------
    TryLater
        If the peer cannot be reached for the first message.
    SetupFault
        If the peer takes no HL7.
    """
    if peer.hl7 is None:
        raise SetupFault(f"{peer.name}: peers.yaml names no hl7")
    send = partial(_send, peer=peer, receiver=peer.hl7, settings=settings)
    return send_each(paths, send, peer=peer, on_outcome=on_outcome, wanted=wanted)


def _send(
    content: bytes, *, peer: Peer, receiver: Hl7, settings: DeliverSettings
) -> tuple[Verdict, str]:
    text = address_oru(content.decode(), receiver)
    control_id = text.split("|", 10)[9]
    with open_line(peer, settings) as line:
        try:
            answer = read_answer(line.ask(text), control_id)
        except NoAnswer as told:
            return Verdict.RETRY, str(told)
        except OSError as error:
            return Verdict.RETRY, f"no answer: {_words(error)}"
    return answer.verdict, str(answer)


def _words(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long"
    return error.strerror or str(error) or type(error).__name__
