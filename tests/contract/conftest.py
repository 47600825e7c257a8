"""Both databases that the node supports, each fresh for every test."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE
from uuid import uuid4

import pytest
from sqlalchemy import Engine, create_engine, text

from node.storage.database import open_database, sqlite_url


def _postgresql_programs() -> Path | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb")
    if versions:
        return versions[-1].parent
    return Path(found).parent if found else None


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL prefix of a private cluster that speaks only over a socket in its own folder."""
    programs = _postgresql_programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    as_user: list[str] = []
    if os.geteuid() == 0:  # initdb refuses root
        if not shutil.which("runuser") or not _user_exists("postgres"):
            pytest.skip("PostgreSQL does not run as root and there is no user postgres")
        as_user = ["runuser", "-u", "postgres", "--"]
    home = Path(tempfile.mkdtemp(prefix="onco-pg-"))  # short: a socket path has 107 bytes
    if as_user:
        shutil.chown(home, "postgres")
    cluster = home / "cluster"

    def run(*arguments: str) -> None:
        subprocess.run([*as_user, *arguments], check=True, cwd=home, stdout=PIPE, timeout=60)

    run(f"{programs}/initdb", "-D", str(cluster), "-A", "trust", "-U", "onconode", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={home} -c fsync=off"
    # The log goes to a file: a server that inherits our pipe would keep it open for ever.
    run(f"{programs}/pg_ctl", "-D", str(cluster), "-o", options, "-l", f"{home}/log", "-w", "start")
    try:
        yield f"postgresql+psycopg://onconode@/%s?host={home}"
    finally:
        run(f"{programs}/pg_ctl", "-D", str(cluster), "-m", "immediate", "-w", "stop")
        shutil.rmtree(home)


def _user_exists(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    server: str = request.getfixturevalue("postgresql_server")
    name = f"test_{uuid4().hex}"
    admin = create_engine(server % "postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return server % name


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An open database with its schema."""
    opened = open_database(database_url)
    yield opened
    opened.dispose()
