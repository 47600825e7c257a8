"""Stacks that are being looked at, and their slices ready to be sent; both bounded."""

import gzip
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from node.jobs.job import Job
from node.web.imaging.stack import Stack

MAXIMUM_STACKS = 4
MAXIMUM_SLICE_BYTES = 64 * 2**20
FASTEST = 1
"""Level of zlib: a slice must be there before the next turn of the wheel."""


@dataclass(frozen=True, kw_only=True)
class EncodedSlice:
    """A screen slice as it is sent.

    Parameters
    ----------
    content : bytes
        gzip of little-endian values, row by row.
    kind : str
        ``"int16"`` or ``"float32"``.
    rows, columns : int
    """

    content: bytes
    kind: str
    rows: int
    columns: int


class Shelf:
    """Keeps what is being looked at; safe to be used by several threads.

    Parameters
    ----------
    open_stack : callable
        Takes a job.
    maximum_stacks : int
    maximum_slice_bytes : int
        Of all encoded slices together.
    """

    def __init__(
        self,
        open_stack: Callable[[Job], Stack],
        *,
        maximum_stacks: int = MAXIMUM_STACKS,
        maximum_slice_bytes: int = MAXIMUM_SLICE_BYTES,
    ) -> None:
        self._open = open_stack
        self._maximum_stacks = maximum_stacks
        self._maximum_slice_bytes = maximum_slice_bytes
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._stacks: OrderedDict[str, Stack] = OrderedDict()
        self._slices: OrderedDict[tuple[str, int], EncodedSlice] = OrderedDict()
        self.slice_bytes = 0

    def stack(self, job: Job) -> Stack:
        """Return the stack of a job, opened once however many ask for it.

        Raises
        ------
        InputRejected
            If its files were purged, or are damaged.
        """
        key = _key(job)
        with self._lock:
            opening = self._opening.setdefault(key, threading.Lock())
        with opening:
            with self._lock:
                if key in self._stacks:
                    self._stacks.move_to_end(key)
                    return self._stacks[key]
            try:
                stack = self._open(job)
                with self._lock:
                    self._stacks[key] = stack
                    while len(self._stacks) > self._maximum_stacks:
                        self._stacks.popitem(last=False)
            finally:  # only now: who comes in between must wait, not open it once more
                with self._lock:
                    self._opening.pop(key, None)
            return stack

    def slice(self, job: Job, k: int) -> EncodedSlice:
        """Return a slice, ready to be sent.

        Raises
        ------
        IndexError
            If there is no slice ``k``, from 0.
        InputRejected
            As ``stack``.
        """
        key = (_key(job), k)
        with self._lock:
            if key in self._slices:
                self._slices.move_to_end(key)
                return self._slices[key]
        stack = self.stack(job)
        if not 0 <= k < len(stack):
            raise IndexError(f"slice {k} of {len(stack)}")
        values = stack.values(k)
        rows, columns = values.shape
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        encoded = EncodedSlice(
            content=gzip.compress(little.tobytes(), FASTEST, mtime=0),
            kind=values.dtype.name,
            rows=rows,
            columns=columns,
        )
        with self._lock:
            if key not in self._slices:
                self._slices[key] = encoded
                self.slice_bytes += len(encoded.content)
            while self.slice_bytes > self._maximum_slice_bytes and len(self._slices) > 1:
                _, dropped = self._slices.popitem(last=False)
                self.slice_bytes -= len(dropped.content)
        return encoded


def _key(job: Job) -> str:
    """A job that is done again may have other results under the same name."""
    results = [item.get("sop_instance_uid", "") for item in job.result.get("evidence", ())]
    return "/".join([job.job_id, *results])
