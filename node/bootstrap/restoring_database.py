"""The database of a backup becomes that of a node."""

from pathlib import Path

from sqlalchemy import inspect, make_url

from node.bootstrap.backup_places import DATABASE, NO_DATABASE, POSTGRESQL_DUMP, SQLITE_COPY
from node.bootstrap.put_in_place import Placing
from node.config.settings import NodeSettings
from node.domain.errors import Problem, SetupFault
from node.durable import give_like, make_private_folder
from node.jobs.open_work import forget_missing_files
from node.storage.archive import Manifest
from node.storage.database import open_as_it_is, open_database, sqlite_url
from node.storage.postgresql_programs import dump_postgresql, load_postgresql
from node.storage.relocate import relocate
from node.storage.tables import Table


def check_kind(manifest: Manifest, node: NodeSettings) -> None:
    """Raise SetupFault where the database of the backup is not of the configured kind."""
    held = manifest.facts.get("database", NO_DATABASE)
    wanted = "sqlite" if _sqlite_file(node) is not None else "postgresql"
    if held in (NO_DATABASE, wanted):
        return
    raise SetupFault(
        "the database of the backup is of another kind",
        [
            Problem(
                code="other-database",
                tag="database_url",
                found=f"a backup of {held}",
                expected=f"one of {wanted}, as database_url says",
                remedy="set database_url (or ONCONODE_DATABASE_URL) as it was at the backup",
            )
        ],
    )


def databases_there(node: NodeSettings) -> list[str]:
    """Return the database that a restore would have to move aside, if there is one."""
    file = _sqlite_file(node)
    if file is not None:
        return [str(file)] if file.exists() else []
    engine = open_as_it_is(node.database_url)
    try:
        has_tables = inspect(engine).has_table("alembic_version")
        return [make_url(node.database_url).render_as_string()] if has_tables else []
    finally:
        engine.dispose()


def restore_database(
    placing: Placing, manifest: Manifest, node: NodeSettings, staged: Path
) -> tuple[str, ...]:
    """Bring the copy up to date, fit it to the place, and let it be the node's database."""
    before = Path(manifest.facts["data_dir"])
    dump = staged / POSTGRESQL_DUMP
    if dump.exists():
        _empty_postgresql(node.database_url, placing.aside / DATABASE / POSTGRESQL_DUMP)
        load_postgresql(node.database_url, dump)
        return _fit(node.database_url, before=before, after=node.data_dir)
    copy = staged / SQLITE_COPY
    if not copy.exists():
        return ()
    send_again = _fit(f"sqlite:///{copy}", before=before, after=node.data_dir)
    file = _sqlite_file(node)
    assert file is not None, "the kinds were compared before"
    make_private_folder(file.parent)
    # The log of the old database first: it must never be taken for the new one's.
    for name in (f"{file.name}-wal", f"{file.name}-shm", file.name):
        placing.move_aside(file.with_name(name), DATABASE)
    copy.chmod(0o600)
    give_like(copy, file.parent)
    placing.put(copy, file)
    return send_again


def _empty_postgresql(url: str, dump: Path) -> None:
    """Drop the node's tables, if there are any, once they are dumped."""
    engine = open_as_it_is(url)
    try:
        there = set(inspect(engine).get_table_names())
        if "alembic_version" not in there:
            return
        make_private_folder(dump.parent)
        dump_postgresql(url, dump)
        with engine.begin() as connection:
            for name in sorted(there & {*Table.metadata.tables, "alembic_version"}):
                connection.exec_driver_sql(f'DROP TABLE "{name}" CASCADE')
    finally:
        engine.dispose()


def _fit(url: str, *, before: Path, after: Path) -> tuple[str, ...]:
    engine = open_database(url)
    try:
        relocate(engine, before=before, after=after.resolve())
        return forget_missing_files(engine)
    finally:
        engine.dispose()


def _sqlite_file(node: NodeSettings) -> Path | None:
    parsed = make_url(node.database_url or sqlite_url(node.data_dir))
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
