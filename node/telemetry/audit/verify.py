"""Finds out whether anybody changed the audit trail.

Every byte is covered by a digest that the next record repeats, so a change, a removal, an
insertion or another order shows at its place. What a chain cannot show by itself is that its end
was cut off, or that all of it was written anew. Against that stand anchors: number and digest of
a record, noted where whoever can write the files cannot: ``head.json`` is the nearest (it finds
an accident or a hasty hand), the database the next, syslog and a sheet of paper the best.
"""

import fcntl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.telemetry.audit.chain import (
    NEWLINE,
    Head,
    digest_of,
    list_files,
    lock_chain,
    open_record,
    read_head,
)


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What a look through the trail found.

    Parameters
    ----------
    records, files : int
    head : Head
        The last record.
    faults : tuple of str
        Each with its place; none: the trail is as it was written.
    notes : tuple of str
        What is no fault: records that a crash cut short.
    """

    records: int
    files: int
    head: Head
    faults: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(kw_only=True)
class _Walk:
    """Where a walk along the chain stands."""

    anchors: dict[int, list[tuple[str, str]]]
    last: Head | None = None
    records: int = 0
    torn: list[tuple[str, bytes]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def verify_trail(
    folder: Path,
    *,
    anchors: Iterable[tuple[str, Head]] = (),
    is_beginning_archived: bool = False,
) -> Verification:
    """Walk along the whole chain.

    Parameters
    ----------
    folder : Path
    anchors : iterable of (str, Head)
        Where each was noted, and what it says. ``head.json`` is looked at anyway.
    is_beginning_archived : bool
        Earlier files were moved elsewhere: the first record here need not be number 1.
    """
    faults: list[str] = []
    wanted = list(anchors)
    files, head_fault = _snapshot(folder, wanted)
    by_number: dict[int, list[tuple[str, str]]] = {}
    for place, anchor in wanted:
        if anchor.number > 0:
            by_number.setdefault(anchor.number, []).append((place, anchor.sha256))
    walk = _Walk(anchors=by_number, faults=faults)
    for path, size in files:
        for place, line in _lines(path, size):
            _take(walk, place, line, free_start=is_beginning_archived)
    if head_fault and files:
        faults.append(head_fault)
    last = walk.last or Head()
    _close_torn(walk, last)
    for number, entries in sorted(walk.anchors.items()):
        if number > last.number:
            for place, _ in entries:
                faults.append(f"{place}: knows record {number}, the trail ends at {last.number}")
    return Verification(
        records=walk.records,
        files=len(files),
        head=last,
        faults=tuple(faults),
        notes=tuple(walk.notes),
    )


def read_records(folder: Path, *, files: Sequence[Path] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the sound records of a trail, or of some of its files, oldest first; others are not."""
    for path in list_files(folder) if files is None else files:
        for _, line in _lines(path, path.stat().st_size):
            try:
                yield open_record(line)
            except ValueError:
                continue


def _snapshot(folder: Path, wanted: list[tuple[str, Head]]) -> tuple[list[tuple[Path, int]], str]:
    """Fix files, sizes and head while nobody writes; what comes later is not looked at."""
    fault = ""
    if not folder.is_dir():
        return [], fault
    with lock_chain(folder, fcntl.LOCK_SH):
        files = [(path, path.stat().st_size) for path in list_files(folder)]
        try:
            wanted.append(("head.json", read_head(folder)))
        except ValueError as error:
            fault = str(error)
    return files, fault


def _lines(path: Path, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield the place and the bytes of each line up to a size."""
    read = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            read += len(line)
            if read > size:
                return
            yield f"{path.name}:{number}", line.removesuffix(NEWLINE)


def _take(walk: _Walk, place: str, line: bytes, *, free_start: bool) -> None:
    try:
        record = open_record(line)
    except ValueError:
        walk.torn.append((place, line))
        return
    _settle_torn(walk, place, record)
    head = Head(number=record["number"], sha256=record["sha256"])
    last = walk.last
    if last is None:
        if not free_start and (head.number != 1 or record.get("previous") != ""):
            walk.faults.append(f"{place}: the trail begins with record {head.number}, not 1")
    elif head.number != last.number + 1:
        walk.faults.append(f"{place}: record {head.number} follows record {last.number}")
    elif record.get("previous") != last.sha256:
        walk.faults.append(f"{place}: record {head.number} does not follow the one before it")
    for anchor, sha256 in walk.anchors.get(head.number, ()):
        if sha256 != head.sha256:
            walk.faults.append(f"{place}: record {head.number} is not the one that {anchor} knows")
    walk.last = head
    walk.records += 1


def _settle_torn(walk: _Walk, place: str, record: Mapping[str, Any]) -> None:
    """Lines that are no record: the next record must tell of what a crash cut short."""
    told = record.get("torn")
    found = digest_of(NEWLINE.join(line for _, line in walk.torn)) if walk.torn else None
    if told == found:
        walk.notes += [
            f"{where}: cut short by a crash, as record {record['number']} tells"
            for where, _ in walk.torn
        ]
    elif walk.torn:
        walk.faults += [f"{where}: no record, or one that was changed" for where, _ in walk.torn]
    else:
        walk.faults.append(f"{place}: what record {record['number']} tells was cut short is gone")
    walk.torn.clear()


def _close_torn(walk: _Walk, last: Head) -> None:
    """A torn end is a crash if no anchor knows of anything behind the last whole record."""
    is_crash = all(number <= last.number for number in walk.anchors)
    for place, _ in walk.torn:
        if is_crash:
            walk.notes.append(f"{place}: cut short, by a crash or a full disk")
        else:
            walk.faults.append(f"{place}: no record, or one that was changed")
    walk.torn.clear()
