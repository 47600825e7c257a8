"""Open the database, SQLite or PostgreSQL, with the schema up to date."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import Session

from node.domain.errors import SetupFault, TryLater
from node.durable import make_private_file, make_private_folder
from node.storage.clock import utc_now
from node.storage.migrate import upgrade_schema

__all__ = ["open_database", "reading", "sqlite_url", "utc_now", "writing"]

BUSY_TIMEOUT_S = 30
WRITES = "onconode_writes"

_writer_locks: WeakKeyDictionary[Engine, threading.Lock] = WeakKeyDictionary()


def sqlite_url(data_dir: Path) -> str:
    """Return the URL of the embedded database of a data directory."""
    return f"sqlite:///{data_dir.resolve() / 'onconode.db'}"


def open_database(url: str) -> Engine:
    """Open a database and bring its schema up to date.

    Several processes may do so at once: migrations run under a lock.

    Parameters
    ----------
    url : str
        ``sqlite:///path`` or ``postgresql+psycopg://user@host/name``.

    Raises
    ------
    SetupFault
        The URL is wrong, the file cannot be made, or the schema is newer than this program.
    TryLater
        The database server does not answer.
    """
    try:
        backend = make_url(url).get_backend_name()
        if backend not in ("sqlite", "postgresql"):
            raise SetupFault(f"database_url: found {backend}, expected sqlite or postgresql")
        engine = _sqlite_engine(url) if backend == "sqlite" else _postgresql_engine(url)
        upgrade_schema(engine)
    except (ArgumentError, ImportError) as error:
        raise SetupFault(f"database_url cannot be used: {error}") from error
    except OSError as error:
        raise SetupFault(f"the database file cannot be made: {error}") from error
    except OperationalError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise SetupFault(f"the database file cannot be opened: {error.orig}") from error
        raise TryLater(f"the database does not answer: {error.orig}") from error
    except DatabaseError as error:
        raise SetupFault(f"the database cannot be used: {error.orig}") from error
    return engine


def open_as_it_is(url: str) -> Engine:
    """Open a database without bringing its schema up to date, for looking at a node's ledger.

    Raises
    ------
    TryLater
        There is none, or it does not answer.
    """
    try:
        parsed = make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and not Path(parsed.database or "").is_file():
            raise TryLater("there is no database yet")
        engine = _sqlite_engine(url) if is_sqlite else _postgresql_engine(url)
        with engine.connect():
            return engine
    except (ArgumentError, ImportError, OSError, DatabaseError) as error:
        raise TryLater(f"the database cannot be read: {type(error).__name__}") from error


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """Open a session that writes, in one transaction.

    SQLite takes its single write lock at the start (``BEGIN IMMEDIATE``), so what was read in
    the transaction cannot change under it. Threads of one process queue on a lock of our own,
    because SQLite's busy handler polls with sleeps of up to 100 ms.
    """
    if engine.dialect.name != "sqlite":
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session
        return
    eager = engine.execution_options(**{WRITES: True})
    lock = _writer_locks.setdefault(engine, threading.Lock())
    with lock, Session(eager, expire_on_commit=False) as session, session.begin():
        yield session


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Open a session that only reads, from one snapshot."""
    with Session(engine, expire_on_commit=False) as session:
        yield session


def _sqlite_engine(url: str) -> Engine:
    database = make_url(url).database
    if not database or database == ":memory:":
        raise SetupFault("database_url: SQLite needs a file, processes share it")
    make_private_folder(Path(database).parent)
    make_private_file(Path(database))
    engine = create_engine(
        url,
        json_serializer=_dump_json,
        connect_args={"timeout": BUSY_TIMEOUT_S},
        max_overflow=64,  # one connection for each association thread at most
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgresql_engine(url: str) -> Engine:
    return create_engine(url, json_serializer=_dump_json, pool_pre_ping=True, max_overflow=32)


_dump_json = partial(json.dumps, allow_nan=False, ensure_ascii=False)
"""NaN is refused on SQLite too, or a result would fail only once it meets PostgreSQL."""


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours, see _begin_sqlite
    for pragma in (
        f"busy_timeout={BUSY_TIMEOUT_S * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
