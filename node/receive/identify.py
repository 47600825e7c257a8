"""Find out which object a received file holds, and whether it is what the sender said."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom.limits import MAXIMUM_INFLATED_BYTES
from node.domain.errors import InputRejected, Problem
from node.receive import problems as found
from node.receive.file_meta import FileMeta
from node.receive.header import PeekedHeader, peek_header
from node.storage.spool import Spool, check_uid

INFLATE_CHUNK_BYTES = 1 << 16


def identify(
    path: Path, *, file_meta: FileMeta, start: int, spool: Spool, maximum_bytes: int
) -> PeekedHeader:
    """Read the identifiers of a file, check the data set's structure and compare with the request.

    Parameters
    ----------
    path : Path
    file_meta : FileMeta
        What the C-STORE request and the negotiation said of the object.
    start : int
        Where the data set begins in the file.
    spool : Spool
        Gives the temp file that a deflated data set is inflated to.
    maximum_bytes : int
        Of an inflated data set, which never is more than ``MAXIMUM_INFLATED_BYTES``.

    Raises
    ------
    InputRejected
        With every fault that was found; the first one decides the answer.
    """
    syntax = file_meta.transfer_syntax_uid
    with path.open("rb") as file:
        if syntax == DeflatedExplicitVRLittleEndian:
            file.seek(start)
            limit = min(maximum_bytes, MAXIMUM_INFLATED_BYTES)
            with _inflated(file, spool, limit) as inflated:
                header = _peek(inflated, syntax, 0)
        else:
            header = _peek(file.fileno(), syntax, start)
    problems = [*_uid_problems(header), *_mismatches(header, file_meta)]
    if problems:
        raise InputRejected(problems)
    return header


def _peek(descriptor: int, transfer_syntax_uid: str, start: int) -> PeekedHeader:
    try:
        mapped = mmap(descriptor, 0, access=ACCESS_READ)
    except ValueError:  # an empty file cannot be mapped
        return peek_header(b"", transfer_syntax_uid=transfer_syntax_uid)
    with mapped:
        return peek_header(mapped, transfer_syntax_uid=transfer_syntax_uid, start=start)


@contextmanager
def _inflated(file: BinaryIO, spool: Spool, maximum_bytes: int) -> Iterator[int]:
    """Inflate the rest of a file to a temp file and yield its descriptor (PS3.5 section A.5)."""
    target = spool.begin()
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        while not inflater.eof:
            chunk = inflater.unconsumed_tail or file.read(INFLATE_CHUNK_BYTES)
            if not chunk:
                raise found.malformed("truncated", "a deflated data set without an end")
            target.write(inflater.decompress(chunk, INFLATE_CHUNK_BYTES))
            if target.size_bytes > maximum_bytes:
                raise InputRejected([found.too_large(maximum_bytes)])
        yield target.fileno()
    except zlib.error as error:
        raise found.malformed("unparsable", "a data set that is not deflated") from error
    finally:
        spool.discard(target)


def _uid_problems(header: PeekedHeader) -> Iterator[Problem]:
    uids = {
        "StudyInstanceUID": header.study_instance_uid,
        "SeriesInstanceUID": header.series_instance_uid,
        "SOPInstanceUID": header.sop_instance_uid,
        "SOPClassUID": header.sop_class_uid,
    }
    missing = [keyword for keyword, uid in uids.items() if not uid]
    yield from map(found.missing_uid, missing)
    for keyword, uid in uids.items():
        if keyword in missing:
            continue
        try:
            check_uid(uid, keyword=keyword)
        except InputRejected as rejection:
            own = {"code": "invalid-sop-instance-uid"} if keyword == "SOPInstanceUID" else {}
            yield from (replace(problem, **own) for problem in rejection.problems)


def _mismatches(header: PeekedHeader, file_meta: FileMeta) -> Iterator[Problem]:
    if header.sop_class_uid and header.sop_class_uid != file_meta.sop_class_uid:
        yield found.mismatch("sop-class-mismatch", "SOPClassUID")
    if header.sop_instance_uid and header.sop_instance_uid != file_meta.sop_instance_uid:
        yield found.mismatch("sop-instance-mismatch", "SOPInstanceUID")
