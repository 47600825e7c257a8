"""The node's folder of objects: every file in it is whole, and survives a crash.

::

    incoming/                      one temp file for each object that is being received
    objects/<study>/<series>/<sop>.dcm
    quarantine/                    the bytes of refused objects
    results/<job_id>/              what a job wrote
    feedback/<sop>.dcm             copies of what people said of results; they are never purged
    trash/<study>.<token>/         a study that is being removed

A file is synchronised before it gets its name, and the folder that names it after: what
``keep`` was called for is on the disk. UIDs are checked before they become file names.
"""

import errno
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from node.domain.errors import InputRejected, Problem
from node.durable import PRIVATE_FILE, give_like, make_private_folder, synchronise_folder

OBJECT_SUFFIX = ".dcm"

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""``errno`` of a write for which there is no room: no space, no quota, the process's own limit."""

# PS3.5 section 9.1 also forbids leading zeros in a component; scanners that write them exist,
# and they do no harm as file names.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_MAXIMUM_UID_LENGTH = 64


def is_uid(text: str) -> bool:
    """Tell whether a text has the form of a UID."""
    return len(text) <= _MAXIMUM_UID_LENGTH and _UID.fullmatch(text) is not None


def check_uid(uid: str, *, keyword: str = "") -> str:
    """Return the UID if it is one; it may then become a file name.

    Raises
    ------
    InputRejected
        The text is no UID: wrong characters, an empty component, longer than 64.

    References
    ----------
    PS3.5 section 9.1.
    """
    if is_uid(uid):
        return uid
    raise InputRejected(
        [
            Problem(
                code="invalid-uid",
                tag=keyword,
                found=f"a text of {len(uid)} characters that is no UID",
                expected="digits and single dots, at most 64 characters (PS3.5 section 9.1)",
                remedy="let the sender assign valid UIDs",
            )
        ]
    )


class IncomingFile:
    """A temp file that an object is being written to.

    Parameters
    ----------
    path : Path
        New file in the spool's own filesystem; its new place once it was moved.

    Attributes
    ----------
    size_bytes : int
    kept : bool
        The file is no temp file any more: ``discard`` leaves it alone.
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC
        self.path = path
        self.size_bytes = 0
        self.kept = False
        self._descriptor = os.open(path, flags, PRIVATE_FILE)
        give_like(self._descriptor, path.parent)

    def fileno(self) -> int:
        """Return the open file descriptor; -1 once closed."""
        return self._descriptor

    def write(self, data: bytes | memoryview) -> None:
        """Append bytes.

        Raises
        ------
        OSError
            For example because the disk is full.
        """
        rest = memoryview(data)
        while rest:
            written = os.write(self._descriptor, rest)
            self.size_bytes += written
            rest = rest[written:]

    def close(self, *, synchronise: bool) -> None:
        """Close the file, with its bytes on the disk if asked for."""
        if self._descriptor < 0:
            return
        try:
            if synchronise:
                os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)
            self._descriptor = -1


class Spool:
    """The folder of received objects, refused objects and results.

    Parameters
    ----------
    root : Path
        Made if missing, readable for its owner only: it holds patient data.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.incoming = self.root / "incoming"
        self.objects = self.root / "objects"
        self.quarantine_dir = self.root / "quarantine"
        self.results = self.root / "results"
        self.feedback = self.root / "feedback"
        self.trash = self.root / "trash"
        for folder in (
            self.incoming, self.objects, self.quarantine_dir, self.results, self.feedback,
            self.trash,
        ):  # fmt: skip
            make_private_folder(folder)

    def begin(self) -> IncomingFile:
        """Open a temp file for an object that arrives."""
        return IncomingFile(self.incoming / f"{secrets.token_hex(16)}{OBJECT_SUFFIX}")

    def object_path(
        self, *, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
    ) -> Path:
        """Return where an object has its place.

        Raises
        ------
        InputRejected
            One of the UIDs is none.
        """
        return (
            self.objects
            / check_uid(study_instance_uid, keyword="StudyInstanceUID")
            / check_uid(series_instance_uid, keyword="SeriesInstanceUID")
            / (check_uid(sop_instance_uid, keyword="SOPInstanceUID") + OBJECT_SUFFIX)
        )

    def feedback_path(self, sop_instance_uid: str) -> Path:
        """Return where the copy of an object has its place that says something of a result.

        Raises
        ------
        InputRejected
            The UID is none.
        """
        return self.feedback / (check_uid(sop_instance_uid) + OBJECT_SUFFIX)

    def keep(self, incoming: IncomingFile, place: Path) -> None:
        """Make a received object durable under its name; what had that name is replaced.

        Parameters
        ----------
        incoming : IncomingFile
        place : Path
            From ``object_path``.
        """
        incoming.close(synchronise=True)
        _rename(incoming.path, place)
        incoming.path, incoming.kept = place, True
        synchronise_folder(place.parent)

    def quarantine(self, incoming: IncomingFile, *, name: str = "") -> Path:
        """Keep the bytes of a refused object.

        Parameters
        ----------
        incoming : IncomingFile
        name : str, optional
            For example the digest of the bytes: the same object, sent again and again, then
            takes its space once.
        """
        incoming.close(synchronise=True)
        incoming.path, incoming.kept = self.quarantine_path(incoming.path, name=name), True
        return incoming.path

    def quarantine_path(self, path: Path, *, name: str = "") -> Path:
        """Move a file of the spool to quarantine and return its new place."""
        place = self.quarantine_dir / (f"{name}{OBJECT_SUFFIX}" if name else path.name)
        _rename(path, place)
        synchronise_folder(place.parent)
        return place

    def discard(self, incoming: IncomingFile) -> None:
        """Drop a temp file; one that was kept or quarantined stays."""
        incoming.close(synchronise=False)
        if not incoming.kept:
            incoming.path.unlink(missing_ok=True)

    def recover_incoming(self) -> tuple[Path, ...]:
        """Move the temp files that a crash left to quarantine; empty ones are removed.

        To be called before anything is received: every file in ``incoming/`` counts as left.
        Their senders never got an answer and still hold the objects.
        """
        moved = []
        for path in sorted(self.incoming.iterdir()):
            if path.stat().st_size == 0:
                path.unlink()
            else:
                moved.append(self.quarantine_path(path, name=f"interrupted-{path.stem}"))
        return tuple(moved)

    def stored_studies(self) -> Iterator[tuple[str, tuple[Path, ...]]]:
        """Yield each study on disk: its UID and its object files."""
        for study in sorted(path for path in self.objects.iterdir() if path.is_dir()):
            yield study.name, tuple(sorted(study.glob(f"*/*{OBJECT_SUFFIX}")))

    def set_study_aside(self, study_instance_uid: str) -> Path | None:
        """Move the objects of a study to the trash, all at once; None if it has no folder."""
        study = check_uid(study_instance_uid)
        aside = self.trash / f"{study}.{secrets.token_hex(4)}"
        try:
            (self.objects / study).rename(aside)
        except FileNotFoundError:
            return None
        synchronise_folder(self.trash)
        synchronise_folder(self.objects)
        return aside

    def set_aside_folders(self) -> list[Path]:
        """Return what stands in the trash."""
        return sorted(path for path in self.trash.iterdir() if path.is_dir())

    def put_back(self, aside: Path, is_wanted: Callable[[Path], bool]) -> int:
        """Move the files of the trash that are wanted to their places; return how many.

        Parameters
        ----------
        aside : Path
            From ``set_study_aside``.
        is_wanted : callable
            Takes the place that a file had.
        """
        study, count = aside.name.rpartition(".")[0], 0
        for path in sorted(aside.glob(f"*/*{OBJECT_SUFFIX}")):
            place = self.objects / study / path.parent.name / path.name
            if is_wanted(place) and not place.exists():
                _rename(path, place)
                synchronise_folder(place.parent)
                count += 1
        return count

    def empty_trash(self) -> None:
        """Remove what was set aside."""
        for aside in self.set_aside_folders():
            shutil.rmtree(aside, ignore_errors=True)

    def results_dir(self, job_id: str) -> Path:
        """Return the folder for the results of a job; made if missing.

        Raises
        ------
        ValueError
            The job id cannot be a file name.
        """
        if not _JOB_ID.fullmatch(job_id):
            raise ValueError(f"job id {job_id!r} cannot be a folder name")
        folder = self.results / job_id
        make_private_folder(folder)
        return folder

    def make_durable(self, folder: Path) -> None:
        """Put files that others wrote into a folder of results on the disk, and their names too.

        To be called before the ledger says that they are there: what the ledger says survives a
        power cut.
        """
        for place, _, names in os.walk(folder):
            for name in names:
                with (Path(place) / name).open("rb") as file:
                    give_like(file.fileno(), folder)
                    os.fsync(file.fileno())
            synchronise_folder(Path(place))
        synchronise_folder(folder.parent)

    def free_bytes(self) -> int:
        """Return how many bytes the node may still write on the spool's filesystem."""
        space = os.statvfs(self.root)
        return space.f_bavail * space.f_frsize


def _rename(source: Path, place: Path) -> None:
    try:
        source.replace(place)
    except FileNotFoundError:  # first object of its series, or the study was just purged
        make_private_folder(place.parent)
        source.replace(place)
