"""Files that a person drops in: bounded, given names of our own, and handed to the listener.

They go the way of every received object, through the node's own C-STORE listener: what it refuses
is in quarantine, what it takes is in spool and ledger. No name that came with a file is ever used.
"""

import errno
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from anyio import to_thread
from fastapi.concurrency import contextmanager_in_threadpool

from node.deliver.c_store import SendOutcome
from node.storage.scratch import scratch_folder

AE_TITLE = "WEB_UPLOAD"
"""Under which the listener gets them; rules and ``peers.yaml`` may name it."""
MAXIMUM_MEMBERS = 20_000
MAXIMUM_UNPACKED_BYTES = 8 * 2**30
CHUNK_BYTES = 1 << 20
ZIP_MAGIC = b"PK\x03\x04"
MAXIMUM_TOLD = 20
DIRECTORY_BYTES = 512
"""For each file that an archive may have, in its list of them."""


DAMAGED_ARCHIVE = (
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What ``zipfile`` raises for archives that it cannot read."""


class TooMuch(Exception):
    """An upload is beyond a limit; the message names it."""


@dataclass(frozen=True, kw_only=True)
class Uploaded:
    """What became of an upload.

    Parameters
    ----------
    stored, refused : int
        Objects.
    reasons : tuple of str
        Why objects were refused, each once, at most ``MAXIMUM_TOLD``.
    """

    stored: int
    refused: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class UploadLimits:
    """What may be uploaded at once.

    Parameters
    ----------
    maximum_object_bytes : int
        Of a single object; an archive may be as large as ``maximum_unpacked_bytes``.
    least_free_bytes : int
        To be left free on the disk.
    free_bytes : callable
        What is free.
    maximum_unpacked_bytes, maximum_members : int
        Of an archive.
    """

    maximum_object_bytes: int
    least_free_bytes: int
    free_bytes: Callable[[], int]
    maximum_unpacked_bytes: int = MAXIMUM_UNPACKED_BYTES
    maximum_members: int = MAXIMUM_MEMBERS

    def check_room(self) -> None:
        """Raise ``TooMuch`` once the disk is too full."""
        if self.free_bytes() < self.least_free_bytes:
            raise TooMuch("there is too little free space on the disk of the node")


async def take_upload(
    chunks: AsyncIterator[bytes],
    *,
    data_dir: Path,
    limits: UploadLimits,
    hand_in: Callable[[Sequence[Path], str], Sequence[SendOutcome]],
) -> Uploaded:
    """Take the body of a request: a DICOM file, or a zip archive of some.

    Parameters
    ----------
    chunks : async iterator of bytes
    data_dir : Path
        A folder in it holds the files meanwhile, on the same disk as the spool.
    limits : UploadLimits
    hand_in : callable
        Gives files to the listener.

    Raises
    ------
    TooMuch
        It is beyond a limit.
    TryLater, SetupFault
        The listener cannot be asked.
    """
    async with contextmanager_in_threadpool(scratch_folder(data_dir, "upload")) as folder:
        body = folder / "body"
        with body.open("xb") as file:
            size = 0
            async for chunk in chunks:
                size += len(chunk)
                if size > limits.maximum_unpacked_bytes:
                    raise TooMuch(f"more than {limits.maximum_unpacked_bytes} bytes")
                await to_thread.run_sync(file.write, chunk)
                if size % (64 * CHUNK_BYTES) < len(chunk):
                    limits.check_room()
        return await to_thread.run_sync(lambda: _hand_in(body, limits, hand_in))


def _hand_in(
    body: Path,
    limits: UploadLimits,
    hand_in: Callable[[Sequence[Path], str], Sequence[SendOutcome]],
) -> Uploaded:
    limits.check_room()
    paths = unpack(body, limits)
    outcomes = hand_in(paths, AE_TITLE) if paths else ()
    reasons = dict.fromkeys(each.detail for each in outcomes if not each.accepted)
    stored = sum(each.accepted for each in outcomes)
    return Uploaded(
        stored=stored, refused=len(paths) - stored, reasons=tuple(reasons)[:MAXIMUM_TOLD]
    )


def unpack(body: Path, limits: UploadLimits) -> list[Path]:
    """Return the files of an upload, beside it: the members of a zip archive, or itself.

    Raises
    ------
    TooMuch
        There are too many, or they are too large, or the archive is damaged or encrypted.
    """
    with body.open("rb") as file:
        is_archive = file.read(len(ZIP_MAGIC)) == ZIP_MAGIC
    if not is_archive:
        if body.stat().st_size > limits.maximum_object_bytes:
            raise TooMuch(f"an object of more than {limits.maximum_object_bytes} bytes")
        return [body]
    paths: list[Path] = []
    total = 0
    try:
        _check_directory(body, limits)
        with zipfile.ZipFile(body) as archive:
            members = [each for each in archive.infolist() if not each.is_dir()]
            if len(members) > limits.maximum_members:
                raise TooMuch(f"an archive of more than {limits.maximum_members} files")
            for number, member in enumerate(members):
                if member.flag_bits & 1:
                    raise TooMuch("an encrypted archive")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise TooMuch("an archive that is packed by another way than deflate")
                path = body.with_name(f"{number:06d}.dcm")
                with archive.open(member) as source:
                    total += _copy(source, path, limits, limits.maximum_unpacked_bytes - total)
                paths.append(path)
    except DAMAGED_ARCHIVE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk; a place before the file is invalid
        raise TooMuch(f"a damaged archive: {type(error).__name__}") from error
    return paths


def _check_directory(body: Path, limits: UploadLimits) -> None:
    """Refuse a list of members that is too long; ``ZipFile`` reads and keeps it whole.

    What the file tells of its end bounds what ``ZipFile`` reads, so that a lie only damages it; the
    members themselves are counted afterwards.
    """
    with body.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # no public way before it is read
    if end is None:
        raise zipfile.BadZipFile
    if end[zipfile._ECD_SIZE] > limits.maximum_members * DIRECTORY_BYTES:  # type: ignore[attr-defined]  # as above
        raise TooMuch(f"an archive of more than {limits.maximum_members} files")


def _copy(source: IO[bytes], path: Path, limits: UploadLimits, left_bytes: int) -> int:
    """Write a member to a file; its header is not believed, the bytes are counted."""
    most = min(limits.maximum_object_bytes, left_bytes)
    written = 0
    with path.open("xb") as target:
        while chunk := source.read(CHUNK_BYTES):
            written += len(chunk)
            if written > most:
                raise TooMuch(f"an archive with more than {most} bytes in a file")
            target.write(chunk)
            if written % (64 * CHUNK_BYTES) < len(chunk):
                limits.check_room()
    return written
