"""Data sets go from the association straight to a temp file.

pynetdicom collects each data set in memory and hands it from the network thread to another one;
with a gigabyte in one enhanced object, or many associations at once, that fills a listener's
memory. Here the network thread writes each fragment of a C-STORE to disk as it comes, answers
when the object is complete, and only then reads on: a sender cannot run ahead of the disk.
"""

import hashlib
import queue
import time
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from node.domain.errors import Problem
from node.receive.file_meta import FileMeta
from node.receive.problems import disk_full, too_large
from node.receive.store_command import StoreAnswer, StoreRequest, read_request, write_response
from node.storage.spool import IncomingFile, Spool

log = structlog.get_logger()

INVALID_PDU = "Evt19"  # pynetdicom's name of the event that ends an association by A-ABORT
# Commands, and the data sets of messages that are no objects.
MAXIMUM_COMMAND_BYTES = 1 << 16
MAXIMUM_REQUEST_BYTES = 4 << 20  # a request for commitment to 20,000 objects
MAXIMUM_WAITING_MESSAGES = 256
"""Of a peer that asks on and on, and reads no answers."""
DISK_CHECK_EVERY_BYTES = 64 << 20

SUCCESS = 0x0000
COMMAND_FRAGMENT = 0x01  # bits of the message control header, PS3.8 annex E.2
LAST_FRAGMENT = 0x02
REACTOR_WAIT_S = 0.5


class SpooledDataSet:
    """A data set on its way to a temp file.

    Parameters
    ----------
    spool : Spool
    file_meta : FileMeta
    maximum_bytes : int
        A larger data set is dropped.
    minimum_free_bytes : int
        What is received must leave that much of the disk free.

    Attributes
    ----------
    size_bytes : int
        Of the data set as sent, also where it was dropped.
    start : int
        Where the data set begins in the file.
    problem : Problem or None
        Why the bytes could not be kept; then there is no file.
    """

    def __init__(
        self, *, spool: Spool, file_meta: FileMeta, maximum_bytes: int, minimum_free_bytes: int
    ) -> None:
        self.file_meta = file_meta
        self.size_bytes = 0
        self.start = 0
        self.problem: Problem | None = None
        self._spool = spool
        self._maximum_bytes = maximum_bytes
        self._minimum_free_bytes = minimum_free_bytes
        self._next_disk_check = 0
        self._sha256 = hashlib.sha256()
        self._file: IncomingFile | None = None
        self._open()

    @property
    def file(self) -> IncomingFile:
        """The temp file; only where there is no problem."""
        if self._file is None:
            raise ValueError("the data set was dropped, there is no file")
        return self._file

    @property
    def sha256(self) -> str:
        """Hex digest of the data set as received."""
        return self._sha256.hexdigest()

    def write(self, fragment: bytes | memoryview) -> None:
        """Append a fragment; a fault is kept for the answer and never raised here."""
        self.size_bytes += len(fragment)
        if self._file is None:
            return
        if self.size_bytes > self._maximum_bytes:
            self._drop(too_large(self._maximum_bytes))
            return
        try:
            self._check_disk()
            self._file.write(fragment)
        except OSError as error:
            self._drop(disk_full(error))
        else:
            self._sha256.update(fragment)

    def abandon(self) -> None:
        """Remove the temp file, unless it was kept: to be called when the answer is given."""
        if self._file is not None:
            self._spool.discard(self._file)

    def _open(self) -> None:
        try:
            self._check_disk()
            self._file = self._spool.begin()
            header = self.file_meta.encode()
            self._file.write(header)
            self.start = len(header)
        except OSError as error:
            self._drop(disk_full(error))

    def _check_disk(self) -> None:
        if self.size_bytes >= self._next_disk_check:
            self._next_disk_check = self.size_bytes + DISK_CHECK_EVERY_BYTES
            if self._spool.free_bytes() < self._minimum_free_bytes:
                raise OSError("less free space than minimum_free_disk_mb")

    def _drop(self, problem: Problem) -> None:
        self.problem = problem
        self.abandon()
        self._file = None


@dataclass(kw_only=True)
class Tally:
    """What was stored on an association so far; a duplicate counts as stored."""

    stored: int = 0
    refused: int = 0
    bytes_stored: int = 0


class StoreSink(Protocol):
    """Who receives objects."""

    def open_data_set(
        self, association: Any, request: StoreRequest, transfer_syntax_uid: str
    ) -> SpooledDataSet:
        """Return where the data set of a request shall go."""

    def answer(self, data_set: SpooledDataSet | None) -> StoreAnswer:
        """Store a complete object and return the answer; None came without data set."""


class StreamingProvider(DIMSEServiceProvider):
    """DIMSE provider of an association that streams C-STORE data sets.

    Everything but C-STORE requests goes pynetdicom's own way.

    Parameters
    ----------
    assoc : Association
    sink : StoreSink

    Attributes
    ----------
    tally : Tally
    """

    def __init__(self, assoc: Any, sink: StoreSink) -> None:
        super().__init__(assoc)
        self.tally = Tally()
        self._waiting_since: float | None = None
        self._sink = sink
        self._command = bytearray()
        self._other_bytes = 0
        self._request: StoreRequest | None = None
        self._data_set: SpooledDataSet | None = None

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the message fragments of a P-DATA primitive, in the network thread."""
        self._waiting_since = None  # what follows is our own time
        for context_id, fragment in primitive.presentation_data_value_list:
            try:
                self._take(context_id, fragment)
            except Exception:  # boundary: a peer's bytes may end its association, not the thread
                log.warning("association.invalid_message", exc_info=True)
                self.dul.event_queue.put(INVALID_PDU)
                return
        if self._request is not None or self._command:
            self._waiting_since = time.monotonic()

    def is_overdue(self, timeout_s: float | None) -> bool:
        """Tell whether the rest of an object is waited for longer than that."""
        since = self._waiting_since
        if since is None or not timeout_s:
            return False
        return time.monotonic() - since > timeout_s

    def get_msg(self, block: bool = False) -> Any:
        """Return the next message; waits a moment instead of letting the reactor poll."""
        if block:
            return super().get_msg(block=True)
        try:
            return self.msg_queue.get(timeout=REACTOR_WAIT_S)
        except queue.Empty:
            return None, None

    def abandon(self) -> None:
        """Remove the temp file of a data set that did not come to its end."""
        if self._data_set is not None:
            self._data_set.abandon()

    def _take(self, context_id: int, fragment: bytes) -> None:
        control, is_last = fragment[0], bool(fragment[0] & LAST_FRAGMENT)
        if control & COMMAND_FRAGMENT:
            self._command += memoryview(fragment)[1:]
            _check_size(len(self._command), MAXIMUM_COMMAND_BYTES)
            if is_last:
                command = bytes(self._command)
                self._command.clear()
                self._begin(context_id, command)
        elif self._data_set is not None:
            self._data_set.write(memoryview(fragment)[1:])
            if is_last:
                self._finish()
        else:
            self._other_bytes += len(fragment)
            _check_size(self._other_bytes, MAXIMUM_REQUEST_BYTES)
            self._pass_on(context_id, fragment)

    def _begin(self, context_id: int, command: bytes) -> None:
        if self._request is not None:
            raise ValueError("a command within the data set of another")
        request = read_request(context_id, command)
        if request is None:
            self._other_bytes = 0
            self._pass_on(context_id, bytes((COMMAND_FRAGMENT | LAST_FRAGMENT,)) + command)
            return
        contexts = {context.context_id: context for context in self.assoc.accepted_contexts}
        syntax = contexts[context_id].transfer_syntax[0]
        self._request = request
        if request.has_data_set:
            self._data_set = self._sink.open_data_set(self.assoc, request, str(syntax))
        else:
            self._finish()

    def _finish(self) -> None:
        request, data_set = self._request, self._data_set
        if request is None:
            raise ValueError("a data set without request")
        try:
            answer = self._sink.answer(data_set)
            if answer.status == SUCCESS:
                self.tally.stored += 1
                self.tally.bytes_stored += data_set.size_bytes if data_set is not None else 0
            else:
                self.tally.refused += 1
        finally:
            self.abandon()  # nothing to do if the object was kept
            self._request = self._data_set = None
        if self.dul.socket is not None:
            self.dul.socket.send(write_response(request, answer))

    def _pass_on(self, context_id: int, fragment: bytes) -> None:
        if self.msg_queue.qsize() > MAXIMUM_WAITING_MESSAGES:
            raise ValueError(f"more than {MAXIMUM_WAITING_MESSAGES} messages wait to be answered")
        part = P_DATA()
        part.presentation_data_value_list.append((context_id, fragment))
        super().receive_primitive(part)


def _check_size(size_bytes: int, maximum_bytes: int) -> None:
    if size_bytes > maximum_bytes:
        raise ValueError(f"a message of more than {maximum_bytes} bytes that is no object")
