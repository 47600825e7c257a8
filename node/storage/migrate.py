"""Bring a database to the schema of this program, one process at a time."""

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from node.domain.errors import SetupFault
from node.durable import make_private_file

MIGRATIONS_DIR = Path(__file__).with_name("migrations")
ADVISORY_LOCK = 0x4F6E636F  # "Onco": any number that no other program on the server takes

_in_this_process = threading.Lock()  # Alembic keeps its context in a module


def upgrade_schema(engine: Engine) -> None:
    """Run the migrations that the database lacks, all in one transaction.

    Raises
    ------
    SetupFault
        The database was written by a newer program.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    with _in_this_process, _exclusive(engine) as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found == script.get_current_head():
            return
        known = {revision.revision for revision in script.walk_revisions()}
        if found is not None and found not in known:
            raise SetupFault(
                f"the database has schema {found}, which this program does not know; "
                "it was written by a newer version: install that one, or restore a backup"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def schema_of(connection: Connection) -> str:
    """Return the revision that a database has, empty where it has none."""
    return MigrationContext.configure(connection).get_current_revision() or ""


def known_schemas() -> frozenset[str]:
    """Return the revisions that this program can read and bring up to date."""
    script = ScriptDirectory.from_config(_config())
    return frozenset(revision.revision for revision in script.walk_revisions())


def newest_schema() -> str:
    """Return the revision that this program brings databases to."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_DIR).replace("%", "%%"))
    return config


@contextmanager
def _exclusive(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction while no other process migrates."""
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": ADVISORY_LOCK})
            yield connection
        return
    database = engine.url.database
    assert database, "an SQLite database without a file was refused before"
    # A file lock, since switching a new database to WAL ignores SQLite's busy timeout.
    place = Path(f"{database}.lock")
    make_private_file(place)
    with place.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with engine.begin() as connection:
            yield connection
