"""Data sets go from the association straight to a temp file.

pynetdicom collects each data set in memory; with a gigabyte in one enhanced object, or many
associations at once, that is what fills a listener's memory. Here the message's buffer is
exchanged for one that writes through, as soon as the C-STORE command is complete.
"""

import hashlib
import queue
from collections.abc import Callable
from io import BytesIO
from typing import Any

import structlog
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu_primitives import P_DATA

from node.domain.errors import Problem
from node.receive.file_meta import FileMeta
from node.receive.problems import disk_full, too_large
from node.storage.spool import IncomingFile, Spool

log = structlog.get_logger()

INVALID_PDU = "Evt19"  # pynetdicom's name of the event that ends an association by A-ABORT
# What is not streamed (commands; data sets that no service of this node has) stays this small.
MAXIMUM_UNSTREAMED_BYTES = 1 << 20
# Nobody may send ahead of the answers without negotiation (PS3.7 annex D.3.3.3).
MAXIMUM_WAITING_MESSAGES = 8
DISK_CHECK_EVERY_BYTES = 64 << 20


class SpooledDataSet(BytesIO):
    """A data set on its way to a temp file; stands in for pynetdicom's buffer.

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
        super().__init__()
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

    def write(self, fragment: Any, /) -> int:
        """Append a fragment; a fault is kept for the answer and never raised here."""
        length = len(fragment)
        self.size_bytes += length
        if self._file is None:
            return length
        if self.size_bytes > self._maximum_bytes:
            self._drop(too_large(self._maximum_bytes))
            return length
        try:
            self._check_disk()
            self._file.write(fragment)
        except OSError as error:
            self._drop(disk_full(error))
        else:
            self._sha256.update(fragment)
        return length

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


class StreamingProvider(DIMSEServiceProvider):
    """DIMSE provider of an association that streams C-STORE data sets.

    Parameters
    ----------
    assoc : Association
    open_data_set : callable
        Makes the buffer for a C-STORE request from its command set and transfer syntax UID.
    """

    def __init__(self, assoc: Any, open_data_set: Callable[[Any, str], SpooledDataSet]) -> None:
        super().__init__(assoc)
        self._open_data_set = open_data_set
        self._unstreamed_bytes = 0

    def receive_primitive(self, primitive: P_DATA) -> None:
        """Take the fragments of a P-DATA primitive, one by one, in the network thread."""
        for context_id, fragment in primitive.presentation_data_value_list:
            if not self._is_bounded(fragment):
                log.warning("association.aborted", reason="unbounded-message")
                self.dul.event_queue.put(INVALID_PDU)
                return
            part = P_DATA()
            part.presentation_data_value_list.append((context_id, fragment))
            try:
                super().receive_primitive(part)
                self._start_streaming(context_id)
            except Exception:  # boundary: a peer's bytes may end its association, not the thread
                log.warning("association.aborted", reason="invalid-message", exc_info=True)
                self.dul.event_queue.put(INVALID_PDU)
                return

    def get_msg(self, block: bool = False) -> Any:
        """Return the next message; waits a moment instead of letting the reactor poll."""
        if block:
            return super().get_msg(block=True)
        try:
            return self.msg_queue.get(timeout=0.02)
        except queue.Empty:
            return None, None

    def abandon(self) -> None:
        """Remove the temp files of everything that will not be answered any more."""
        waiting = [self.message.data_set] if self.message is not None else []
        while True:
            try:
                _, message = self.msg_queue.get_nowait()
            except queue.Empty:
                break
            waiting.append(getattr(message, "DataSet", None))
        for data_set in waiting:
            if isinstance(data_set, SpooledDataSet):
                data_set.abandon()

    def _is_bounded(self, fragment: bytes) -> bool:
        message = self.message
        if message is None:
            self._unstreamed_bytes = 0
        elif isinstance(message.data_set, SpooledDataSet):
            return True
        self._unstreamed_bytes += len(fragment)
        return (
            self._unstreamed_bytes <= MAXIMUM_UNSTREAMED_BYTES
            and self.msg_queue.qsize() < MAXIMUM_WAITING_MESSAGES
        )

    def _start_streaming(self, context_id: int) -> None:
        message = self.message
        if not isinstance(message, C_STORE_RQ) or isinstance(message.data_set, SpooledDataSet):
            return
        contexts = {context.context_id: context for context in self.assoc.accepted_contexts}
        # the reactor aborts on an unknown context once the message is complete
        syntax = str(contexts[context_id].transfer_syntax[0]) if context_id in contexts else ""
        message.data_set = self._open_data_set(message.command_set, syntax)
