"""Files that are on the disk when a call returns, and that the node's user can reach.

The command line may be run by root. What root makes in a folder of the node is given to the
owner of that folder before it gets its name: a file of root's would lock the node out.
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def synchronise_folder(folder: Path) -> None:
    """Put the names in a folder on the disk.

    Raises
    ------
    OSError
        Some shares cannot do so.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def synchronise_if_possible(folder: Path) -> None:
    """Put the names in a folder on the disk; shares that cannot do so are left alone."""
    with suppress(OSError):
        synchronise_folder(folder)


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner only; they are on the disk.

    Raises
    ------
    OSError
        There is something else in its place, or it cannot be made.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        give_like(each, each.parent)
        synchronise_folder(each.parent)


def make_private_file(place: Path) -> None:
    """Make an empty file for its owner only; one that is there stays as it is."""
    with suppress(FileExistsError):
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        descriptor = os.open(place, flags, PRIVATE_FILE)
        try:
            give_like(descriptor, place.parent)
        finally:
            os.close(descriptor)


def give_like(file: Path | int, owned: Path) -> None:
    """Give what root made to the owner of a file or folder; nobody else can, or has to.

    Parameters
    ----------
    file : Path or int
        A path or an open descriptor.
    owned : Path
    """
    if os.geteuid() == 0:
        owner = owned.stat()
        with suppress(PermissionError):  # a share where root is nobody
            os.chown(file, owner.st_uid, owner.st_gid)


def write_durably(
    place: Path, data: bytes, *, mode: int = PRIVATE_FILE, like: Path | None = None
) -> None:
    """Write a file that is, at any moment, either the old one or the new one as a whole.

    Parameters
    ----------
    place : Path
    data : bytes
    mode : int
        Whatever the umask.
    like : Path, optional
        What the owner is taken from where root writes; else the folder.
    """
    fresh = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            give_like(file.fileno(), like or place.parent)
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        fresh.replace(place)
    finally:
        fresh.unlink(missing_ok=True)
    synchronise_folder(place.parent)
