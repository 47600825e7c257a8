"""How full the disk is: free space against two marks, and what takes the rest."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.storage.spool import Spool

MEGABYTE = 1 << 20

FOLDERS: Mapping[str, str] = {
    "objects": "objects",
    "results": "results",
    "quarantine": "quarantine",
    "incoming": "incoming",
    "trash": "trash",
    "scratch": "scratch",
    "audit": "audit",
    "log": "log",
}
"""Class of use -> folder of the data directory; the files beside them are the database's."""


@dataclass(frozen=True, kw_only=True)
class DiskMarks:
    """Free space below which something happens.

    Parameters
    ----------
    soft_bytes : int
        Associations that would store are refused, and the clean-up begins; 0: no such mark.
    hard_bytes : int
        C-STORE is answered 0xA700.
    """

    soft_bytes: int
    hard_bytes: int


class DiskRoom:
    """Free space of the spool against its marks.

    Parameters
    ----------
    marks : DiskMarks
    free_bytes : callable
        ``Spool.free_bytes``; a file system call, cheap enough for every association.
    """

    def __init__(self, marks: DiskMarks, free_bytes: Callable[[], int]) -> None:
        self.marks = marks
        self._free_bytes = free_bytes

    def free_bytes(self) -> int:
        """Return how many bytes the node may still write."""
        return self._free_bytes()

    def is_below_soft_mark(self) -> bool:
        """Tell whether there is too little for new studies."""
        return self._free_bytes() < self.marks.soft_bytes

    def is_below_hard_mark(self) -> bool:
        """Tell whether there is too little for one more object."""
        return self._free_bytes() < self.marks.hard_bytes


def measure_usage(spool: Spool) -> dict[str, int]:
    """Return the bytes that each class of use takes; reads every folder, so not at each scrape."""
    used = {name: folder_bytes(spool.root / folder) for name, folder in FOLDERS.items()}
    used["database"] = sum(
        entry.stat().st_size for entry in os.scandir(spool.root) if entry.is_file()
    )
    return used


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; what vanishes meanwhile does not count."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:
            continue
    return total
