"""A disk that is full and a database that is locked, for a node that runs."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
from running_node import RunningNode

from node.storage.database import sqlite_url


@contextmanager
def disk_full(node: RunningNode, *children: str, room_bytes: int = 0) -> Iterator[None]:
    """Let no write of these processes to any file succeed: objects, database, audit, log.

    Beyond ``room_bytes`` of each file. Their limit of file size is set while they run (prlimit(2)),
    for which no other disk and no rights are needed. Writes then fail with EFBIG instead of ENOSPC.
    """
    limited = [psutil.Process(node.pid(child)) for child in children]
    before = [process.rlimit(psutil.RLIMIT_FSIZE) for process in limited]
    try:
        for process, (_, hard) in zip(limited, before, strict=True):
            process.rlimit(psutil.RLIMIT_FSIZE, (room_bytes, hard))
        yield
    finally:
        for process, limits in zip(limited, before, strict=True):
            with suppress(psutil.NoSuchProcess):
                process.rlimit(psutil.RLIMIT_FSIZE, limits)


@contextmanager
def database_locked(node: RunningNode) -> Iterator[None]:
    """Hold the lock without which nobody writes."""
    database = sqlite_url(node.settings.node.data_dir).partition("///")[2]
    connection = sqlite3.connect(database, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()  # rolls back
