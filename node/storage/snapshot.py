"""A copy of the SQLite database as it was at one moment, while others write to it."""

import sqlite3
from contextlib import closing
from pathlib import Path

from node.domain.errors import Problem, SetupFault, TryLater
from node.storage.database import BUSY_TIMEOUT_S


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a database with SQLite's online backup; writers go on meanwhile.

    All pages are copied in one step: a copy in several steps begins anew whenever another
    process writes, and would never end on a busy node. In WAL mode a long read holds up nobody.

    Parameters
    ----------
    source : Path
    target : Path
        New file; a single one, without a write-ahead log beside it.

    Raises
    ------
    SetupFault
        The database is damaged.
    TryLater
        It is locked, or the disk is full.

    References
    ----------
    SQLite Online Backup API, https://www.sqlite.org/backup.html
    """
    uri = f"{source.resolve().as_uri()}?mode=rw"
    try:
        with (
            closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as opened,
            closing(sqlite3.connect(target)) as copy,
        ):
            opened.backup(copy, pages=-1)
            copy.execute("PRAGMA journal_mode=DELETE").close()
            faults = [str(row[0]) for row in copy.execute("PRAGMA integrity_check(5)")]
    except sqlite3.OperationalError as error:
        raise TryLater(f"the database could not be copied: {error}") from error
    except sqlite3.DatabaseError as error:
        faults = [str(error)]
    if faults != ["ok"]:
        raise SetupFault(
            "the database is damaged",
            [
                Problem(
                    code="damaged-database",
                    tag=str(source),
                    found="; ".join(faults),
                    expected="a database that passes PRAGMA integrity_check",
                    remedy="stop the node, keep a copy of the file, and restore a backup",
                )
            ],
        )
