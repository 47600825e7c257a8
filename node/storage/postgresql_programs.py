"""``pg_dump`` and ``pg_restore``, which know how to copy a PostgreSQL database better than we."""

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import make_url

from node.domain.errors import Problem, SetupFault, TryLater


def find_program(name: str, *, instead: str) -> str:
    """Return the path of a program of PostgreSQL.

    Parameters
    ----------
    name : str
    instead : str
        What to do without it, for the person who reads the message.

    Raises
    ------
    SetupFault
        It is not installed.
    """
    found = shutil.which(name)
    if found:
        return found
    raise SetupFault(
        f"{name} is not installed",
        [
            Problem(
                code="missing-program",
                tag=name,
                found="no such program in PATH",
                expected="the client programs of PostgreSQL, of the server's version or newer",
                remedy=f"install postgresql-client, or {instead}",
            )
        ],
    )


def dump_postgresql(url: str, target: Path, *, snapshot: str = "") -> None:
    """Write a dump in PostgreSQL's custom format.

    Parameters
    ----------
    url : str
        Of SQLAlchemy.
    target : Path
    snapshot : str, optional
        From ``pg_export_snapshot()`` of a transaction that is still open.

    Raises
    ------
    SetupFault
        ``pg_dump`` is missing or refuses.
    """
    program = find_program(
        "pg_dump", instead="give --no-database and dump the database in your own way"
    )
    seen_by = [f"--snapshot={snapshot}"] if snapshot else []
    _run(
        [program, "--format=custom", "--no-owner", "--no-privileges", *seen_by, f"--file={target}"],
        url,
    )


def load_postgresql(url: str, dump: Path) -> None:
    """Put a dump into a database without the node's tables, in one transaction.

    Raises
    ------
    SetupFault
        ``pg_restore`` is missing or refuses; the database is then as it was.
    """
    program = find_program("pg_restore", instead="restore on a host that has them")
    _run(
        [program, "--no-owner", "--no-privileges", "--single-transaction", str(dump)],
        url,
    )


def _run(command: list[str], url: str) -> None:
    """Run a program on a database; the environment hides the password from other users."""
    parsed = make_url(url)
    password = str(parsed.password or "")
    plain = parsed.set(drivername="postgresql", password=None)
    environment = dict(os.environ) | ({"PGPASSWORD": password} if password else {})
    arguments = [
        command[0],
        f"--dbname={plain.render_as_string(hide_password=False)}",
        *command[1:],
    ]
    try:
        done = subprocess.run(  # noqa: S603 - programs found in PATH, arguments of our own
            [*arguments[:1], "--no-password", *arguments[1:]],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise TryLater(f"{command[0]} could not be started: {error}") from error
    if done.returncode:
        raise SetupFault(f"{Path(command[0]).name} failed: {done.stderr.strip()[-2000:]}")
