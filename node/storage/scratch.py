"""Folders for files in passing: of an upload, of a fetch.

They hold images of patients, so that none may stay when the process that made it was killed. Each
has a lock beside it that ends with its process: what nobody holds any more is removed.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from node.durable import make_private_file, make_private_folder

FOLDER = "scratch"
LOCK_SUFFIX = ".lock"


@contextmanager
def scratch_folder(data_dir: Path, purpose: str) -> Iterator[Path]:
    """Make a folder on the disk of the spool; it is removed with all that is in it.

    Parameters
    ----------
    data_dir : Path
    purpose : str
        First part of its name.

    Raises
    ------
    OSError
        It cannot be made.
    """
    home = data_dir / FOLDER
    make_private_folder(home)
    while (lock := _take_lock(home / f"{purpose}-{secrets.token_hex(8)}")) is None:
        pass
    with lock:
        folder = _folder_of(Path(lock.name))
        try:
            make_private_folder(folder)
            yield folder
        finally:
            _remove(folder)


def remove_abandoned(data_dir: Path) -> list[str]:
    """Remove the folders whose processes are no more; return their names."""
    home = data_dir / FOLDER
    # a lock stands as long as its folder: without one, a thread of its owner has made it once more
    unlocked = [folder for folder in sorted(home.glob("*/")) if not _lock_of(folder).exists()]
    removed = [folder.name for folder in unlocked if _remove(folder)]
    for place in sorted(home.glob(f"*{LOCK_SUFFIX}")):
        try:
            with place.open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                folder = _folder_of(place)
                if os.fstat(lock.fileno()).st_nlink and _remove(folder):
                    removed.append(folder.name)
        except OSError:
            continue  # somebody holds it
    return removed


def _take_lock(folder: Path) -> BinaryIO | None:
    """Make the lock of a folder and take it; None if a clean-up removed it in between."""
    place = _lock_of(folder)
    make_private_file(place)
    try:
        lock = place.open("rb")
    except FileNotFoundError:
        return None
    with suppress(OSError):  # shares that know no locks: nor can a clean-up take one
        fcntl.flock(lock, fcntl.LOCK_EX)
    if os.fstat(lock.fileno()).st_nlink:
        return lock
    lock.close()
    return None


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}{LOCK_SUFFIX}")


def _folder_of(lock: Path) -> Path:
    return lock.with_name(lock.name.removesuffix(LOCK_SUFFIX))


def _remove(folder: Path) -> bool:
    """Remove a folder, then its lock: what could not be removed is tried again."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        return False
    _lock_of(folder).unlink(missing_ok=True)
    return True
