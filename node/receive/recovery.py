"""Finish at start what a crash left unfinished.

Between the rename of a file and the commit of its row the process may die. The sender got no
answer, but the object is whole: it is recorded now. What was still being written goes to
quarantine, for its sender holds the object and will send it again.
"""

import hashlib
from collections import Counter
from pathlib import Path

import structlog
from pydicom.errors import InvalidDicomError

from node.domain.errors import InputRejected, Problem
from node.receive.c_store import describe
from node.receive.file_meta import FileMeta, read_file_meta
from node.receive.identify import identify
from node.receive.problems import interrupted, malformed, misplaced, other_content
from node.receive.status import fault_of
from node.storage.instances import InstanceStore, Recorded
from node.storage.spool import OBJECT_SUFFIX, Spool

log = structlog.get_logger()

CHUNK_BYTES = 1 << 20


def recover(*, store: InstanceStore, spool: Spool, maximum_bytes: int) -> Counter[str]:
    """Record objects that have no row, and clear away temp files; nothing may be received yet.

    Returns
    -------
    Counter
        ``adopted``, ``refused`` and ``interrupted`` objects.
    """
    counts: Counter[str] = Counter()
    for path in spool.recover_incoming():
        problem = interrupted()
        store.quarantine(
            path=path,
            calling_ae_title=_sender(path),
            status=fault_of([problem]).status,
            problems=[problem],
        )
        counts["interrupted"] += 1
    for study_instance_uid, paths in spool.stored_studies():
        known = {
            (received.series_instance_uid, received.instance.sop_instance_uid + OBJECT_SUFFIX)
            for received in store.received_of(study_instance_uid)
        }
        for path in paths:
            if (path.parent.name, path.name) not in known:
                counts[_adopt(path, store=store, spool=spool, maximum_bytes=maximum_bytes)] += 1
    if counts:
        log.warning("spool.recovered", **counts)
    return counts


def _adopt(path: Path, *, store: InstanceStore, spool: Spool, maximum_bytes: int) -> str:
    sender = ""
    try:
        file_meta, start = _read_meta(path)
        sender = file_meta.calling_ae_title
        header = identify(
            path, file_meta=file_meta, start=start, spool=spool, maximum_bytes=maximum_bytes
        )
        place = spool.object_path(
            study_instance_uid=header.study_instance_uid,
            series_instance_uid=header.series_instance_uid,
            sop_instance_uid=header.sop_instance_uid,
        )
        if path != place:
            raise InputRejected([misplaced(header.sop_instance_uid)])
        received = describe(
            header,
            file_meta,
            place=path,
            sha256=_digest(path, start),
            size_bytes=path.stat().st_size - start,
        )
        if store.record(received) is Recorded.CONFLICT:
            raise InputRejected([other_content(header.sop_instance_uid)])
    except InputRejected as rejection:
        _quarantine(path, sender, rejection.problems, store=store, spool=spool)
        return "refused"
    return "adopted"


def _quarantine(
    path: Path,
    sender: str,
    problems: tuple[Problem, ...],
    *,
    store: InstanceStore,
    spool: Spool,
) -> None:
    store.quarantine(
        path=spool.quarantine_path(path),
        calling_ae_title=sender,
        status=fault_of(problems).status,
        problems=problems,
        sop_instance_uid=path.name.removesuffix(OBJECT_SUFFIX),
    )


def _read_meta(path: Path) -> tuple[FileMeta, int]:
    try:
        return read_file_meta(path)
    except (InvalidDicomError, OSError, AttributeError, EOFError, ValueError) as error:
        raise malformed("not-dicom", "a file without file meta information") from error


def _sender(path: Path) -> str:
    try:
        return _read_meta(path)[0].calling_ae_title
    except InputRejected:
        return ""


def _digest(path: Path, start: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
