"""Append-only files of records, each of which holds the digest of the one before.

::

    audit-000001.jsonl   {"number":1,"at":...,"previous":"","xml":"<AuditMessage ...","sha256":...}
    audit-000002.jsonl   goes on where the first ended: number and digest do not begin anew
    head.json            number and digest of the last record
    lock                 held while a record is added

``sha256`` is that of the line up to it, closed with a brace: of the very bytes, so that no
second way to write the same record exists. A change, a removal or another order breaks the chain
at that place; a shortened end contradicts ``head.json`` and every anchor that was noted elsewhere.

Several processes append. Each record is written under a file lock and is on the disk when
``append`` returns; see node/adr/008-audit-trail.md for why.
"""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from node.durable import PRIVATE_FILE, give_like, make_private_folder, synchronise_folder

FILE_NAME = re.compile(r"audit-(\d{6})\.jsonl")
HEAD = "head.json"
LOCK = "lock"
TAIL_BYTES = 1 << 16
NEWLINE = b"\n"


@dataclass(frozen=True, kw_only=True)
class Head:
    """The last record of a chain; number 0 of an empty one."""

    number: int = 0
    sha256: str = ""


class AuditChain:
    """The files of an audit trail.

    Parameters
    ----------
    folder : Path
        Made if missing, readable for its owner only.
    maximum_file_bytes : int
        A file that is larger is followed by a new one.
    """

    def __init__(self, folder: Path, *, maximum_file_bytes: int) -> None:
        self.folder = folder
        self._maximum_file_bytes = maximum_file_bytes
        self._known: tuple[Path, int, Head] | None = None

    def append(self, xml: str, *, at: datetime) -> Head:
        """Add a record; it is on the disk when this returns.

        Parameters
        ----------
        xml : str
            The message, in one line.
        at : datetime
            Aware.

        Raises
        ------
        OSError
            The record is not known to be on the disk.
        """
        make_private_folder(self.folder)
        with lock_chain(self.folder, fcntl.LOCK_EX):
            path = self._current_file()
            last, torn = self._end_of(path)
            fields: dict[str, Any] = {
                "number": last.number + 1,
                "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
                "previous": last.sha256,
                "xml": xml,
            }
            if torn is not None:  # what a crash cut short stays, closed off and told of
                fields["torn"] = digest_of(torn.removesuffix(NEWLINE))
            line, head = seal(fields)
            if torn is None and path.exists() and path.stat().st_size >= self._maximum_file_bytes:
                path = self.folder / f"audit-{_number(path) + 1:06d}.jsonl"
            if not _has_line_end(path):
                line = NEWLINE + line
            size = _write(path, line)
            with suppress(OSError):  # the record is durable, and the head may lag behind it
                _write_head(self.folder, head)
            self._known = (path, size, head)
            return head

    def _current_file(self) -> Path:
        files = list_files(self.folder)
        return files[-1] if files else self.folder / "audit-000001.jsonl"

    def _end_of(self, path: Path) -> tuple[Head, bytes | None]:
        """Return the last record, and what stands behind it and is none."""
        if not path.exists():
            return Head(), None
        if self._known is not None and self._known[:2] == (path, path.stat().st_size):
            return self._known[2], None
        head, torn = read_end(path)
        earlier = [file for file in list_files(self.folder) if file < path]
        while head is None and earlier:  # a new file that got no record
            head, _ = read_end(earlier.pop())
        return head or Head(), torn


def seal(fields: dict[str, Any]) -> tuple[bytes, Head]:
    """Return the line of a record, closed with its digest, and what it makes the head."""
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    sha256 = digest_of(body)
    line = body[:-1] + f',"sha256":"{sha256}"}}\n'.encode()
    return line, Head(number=fields["number"], sha256=sha256)


SEAL_BYTES = len(',"sha256":"') + 64 + len('"}')


def open_record(line: bytes) -> dict[str, Any]:
    """Return the record of a line without its line end.

    Raises
    ------
    ValueError
        It is no record, or its digest is not that of its bytes.
    """
    body = line[:-SEAL_BYTES] + b"}"
    if line[-SEAL_BYTES:] != f',"sha256":"{digest_of(body)}"}}'.encode():
        raise ValueError("the digest is not that of the record")
    record = json.loads(line)
    if not isinstance(record, dict) or not isinstance(record.get("number"), int):
        raise ValueError("no record")
    return record


def read_end(path: Path) -> tuple[Head | None, bytes | None]:
    """Return the last sound record of a file, and the bytes behind it; each None without any."""
    size = path.stat().st_size
    want = TAIL_BYTES
    while True:
        start = max(0, size - want)
        with path.open("rb") as file:
            file.seek(start)
            lines = BytesIO(file.read(size - start)).readlines()
        first = 0 if start == 0 else 1  # the first line may be cut by the window
        for i in range(len(lines) - 1, first - 1, -1):
            try:
                record = open_record(lines[i].removesuffix(NEWLINE))
            except ValueError:
                continue
            head = Head(number=record["number"], sha256=record["sha256"])
            return head, b"".join(lines[i + 1 :]) or None
        if start == 0:
            return None, b"".join(lines) or None
        want *= 4


def read_head(folder: Path) -> Head:
    """Return what ``head.json`` says.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    try:
        fields = json.loads((folder / HEAD).read_bytes())
        return Head(number=int(fields["number"]), sha256=str(fields["sha256"]))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{HEAD} cannot be read: {type(error).__name__}") from error


def list_files(folder: Path) -> list[Path]:
    """Return the files of a trail in their order."""
    return sorted(path for path in folder.glob("audit-*.jsonl") if FILE_NAME.fullmatch(path.name))


@contextmanager
def lock_chain(folder: Path, kind: int) -> Iterator[None]:
    """Hold the lock of a trail, ``fcntl.LOCK_EX`` to append or ``LOCK_SH`` to read."""
    descriptor = _open_own(folder / LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _number(path: Path) -> int:
    match = FILE_NAME.fullmatch(path.name)
    assert match, "list_files gives only such names"
    return int(match[1])


def _has_line_end(path: Path) -> bool:
    """Tell whether a new line can follow; a file that is empty or not there counts as ended."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == NEWLINE


def _write(path: Path, line: bytes) -> int:
    is_new = not path.exists()
    descriptor = _open_own(path, os.O_WRONLY | os.O_APPEND)
    try:
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if is_new:
        synchronise_folder(path.parent)
    return size


def _write_head(folder: Path, head: Head) -> None:
    """Replace ``head.json``; after a crash it may lag behind the chain, but never lead."""
    fresh = folder / f".{HEAD}"
    descriptor = _open_own(fresh, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(descriptor, json.dumps({"number": head.number, "sha256": head.sha256}).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(folder / HEAD)


def _open_own(path: Path, flags: int) -> int:
    """Open a file of the trail, made if missing; one that root makes is the node's user's."""
    descriptor = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)
    give_like(descriptor, path.parent)
    return descriptor


def digest_of(data: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
