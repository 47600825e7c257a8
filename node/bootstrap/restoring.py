"""``onconode restore``: put a backup into its place, all of it checked before anything changes."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import inspect, make_url

from node.bootstrap.backup_places import (
    CONFIG,
    DATA,
    DATABASE,
    HISTORIES,
    MODELS,
    NO_DATABASE,
    POSTGRESQL_DUMP,
    SPOOLED,
    SQLITE_COPY,
    UNFINISHED,
)
from node.bootstrap.put_in_place import Placing, give_like, make_parents
from node.config.load import load_node_settings
from node.config.settings import NodeSettings
from node.domain.errors import InputRejected, Problem, SetupFault
from node.jobs.open_work import forget_missing_files
from node.jobs.supervisor import hold_lock
from node.storage.archive import Manifest, extract, read_manifest
from node.storage.clock import utc_now
from node.storage.database import open_as_it_is, open_database, sqlite_url
from node.storage.migrate import known_schemas
from node.storage.postgresql_programs import dump_postgresql, load_postgresql
from node.storage.relocate import relocate
from node.storage.tables import Table

RUN = "run"


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What a restore did.

    Parameters
    ----------
    manifest : Manifest
    data_dir, models_dir : Path
    database : str
        Kind of the database that was restored; ``none`` where the backup has none.
    moved_aside : Path or None
        Folder with what was in the way.
    send_again : tuple of str
        Study Instance UIDs whose images the backup does not hold and whose work was not finished.
    """

    manifest: Manifest
    data_dir: Path
    models_dir: Path
    database: str
    moved_aside: Path | None
    send_again: tuple[str, ...]


def refuse_unfinished(data_dir: Path) -> None:
    """Raise SetupFault where a restore was interrupted: half of it is no state to start from."""
    if (data_dir / UNFINISHED).exists():
        raise SetupFault(
            "a restore was interrupted",
            [
                Problem(
                    code="unfinished-restore",
                    tag=str(data_dir),
                    found="what a restore left when it was interrupted",
                    expected="a restore that came to its end",
                    remedy="run onconode restore --force with the same backup again",
                )
            ],
        )


def check_backup(archive: Path) -> Manifest:
    """Read a whole backup and tell whether this program can restore it.

    Raises
    ------
    InputRejected
        It is damaged, no backup, or from a newer version.
    """
    manifest = read_manifest(archive)
    schema = manifest.facts.get("schema", "")
    if manifest.facts.get("database", NO_DATABASE) != NO_DATABASE and schema not in known_schemas():
        raise InputRejected(
            [
                Problem(
                    code="newer-schema",
                    tag=str(archive),
                    found=f"database schema {schema!r}, of onconode {manifest.software_version}",
                    expected=f"one of {', '.join(sorted(known_schemas()))}",
                    remedy="install that version of onconode or a newer one, then restore",
                )
            ]
        )
    return manifest


def restore(
    archive: Path,
    config_dir: Path,
    *,
    force: bool = False,
    config: bool = True,
    models: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Restored:
    """Restore a backup; the node must not run.

    Where data and models go is said by the configuration of the backup, or by the one that is
    there when ``config`` is false; variables win over both.

    Parameters
    ----------
    archive : Path
    config_dir : Path
    force : bool
        Move what is in the way aside; else it stops the restore.
    config, models : bool
        False leaves those that are there.
    environment : mapping, optional
        Instead of the process environment.

    Raises
    ------
    InputRejected
        The backup is damaged or from a newer version; nothing was changed.
    SetupFault
        A node runs there, something is in the way, or the database is of another kind.
    """
    manifest = check_backup(archive)
    config_dir = config_dir.resolve()
    with tempfile.TemporaryDirectory(prefix="onconode-restore-") as temporary:
        staged_config = Path(temporary)
        extract(archive, manifest, folder=CONFIG, into=staged_config)
        node = load_node_settings(
            staged_config if config else config_dir, home=config_dir, environment=environment
        )
        _check_kind(manifest, node)
        run_dir = node.data_dir / RUN
        _make_folder(run_dir)
        with (
            _only_node(run_dir),
            _folder(node.data_dir / f".restore-{secrets.token_hex(4)}") as staged,
        ):
            for folder in (DATA, DATABASE, *([MODELS] if models else [])):
                extract(archive, manifest, folder=folder, into=staged / folder)
            aside = node.data_dir / f"before-restore-{utc_now():%Y%m%dT%H%M%SZ}"
            placing = Placing(aside)
            placing.plan(staged / MODELS, node.models_dir, MODELS)
            if config:
                placing.plan(staged_config, config_dir, CONFIG)
            _plan_data(placing, staged / DATA, node.data_dir)
            if not force:
                _check_way(placing, manifest, node)
            mark = node.data_dir / UNFINISHED
            mark.touch()
            placing.carry_out()
            send_again = _restore_database(placing, manifest, node, staged / DATABASE)
            mark.unlink()
    return Restored(
        manifest=manifest,
        data_dir=node.data_dir,
        models_dir=node.models_dir,
        database=manifest.facts.get("database", NO_DATABASE),
        moved_aside=aside if aside.is_dir() else None,
        send_again=send_again,
    )


def _plan_data(placing: Placing, staged: Path, data_dir: Path) -> None:
    for name in SPOOLED:
        placing.plan(staged / name, data_dir / name, f"{DATA}/{name}")
    for name in HISTORIES:
        if not any((data_dir / name).glob("*")):
            placing.plan(staged / name, data_dir / name, f"{DATA}/{name}")


def _check_way(placing: Placing, manifest: Manifest, node: NodeSettings) -> None:
    """Raise SetupFault with everything that a restore would have to move aside."""
    found = [str(path) for path in placing.in_the_way()]
    if manifest.facts.get("database", NO_DATABASE) != NO_DATABASE:
        found += _databases_there(node)
    found += [
        str(node.data_dir / name)
        for name in SPOOLED
        if any(path.is_file() for path in (node.data_dir / name).rglob("*"))
    ]
    if found:
        raise SetupFault(
            "the place is not empty, nothing was changed",
            [
                Problem(
                    code="in-the-way",
                    tag=path,
                    found="something else than the backup holds",
                    expected="an empty place",
                    remedy="give --force to have it moved aside (received objects stay), "
                    "or --keep-config or --keep-models to leave those that are there",
                )
                for path in found
            ],
        )


def _databases_there(node: NodeSettings) -> list[str]:
    file = _sqlite_file(node)
    if file is not None:
        return [str(file)] if file.exists() else []
    engine = open_as_it_is(node.database_url)
    try:
        has_tables = inspect(engine).has_table("alembic_version")
        return [make_url(node.database_url).render_as_string()] if has_tables else []
    finally:
        engine.dispose()


def _restore_database(
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
    _make_folder(file.parent)
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
        make_parents(dump)
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


def _check_kind(manifest: Manifest, node: NodeSettings) -> None:
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


def _sqlite_file(node: NodeSettings) -> Path | None:
    parsed = make_url(node.database_url or sqlite_url(node.data_dir))
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


@contextmanager
def _only_node(run_dir: Path) -> Iterator[None]:
    """Hold the lock of a data directory."""
    lock = run_dir / "supervisor.lock"
    held = ExitStack()
    try:
        held.enter_context(hold_lock(lock))
    except SetupFault:
        raise SetupFault(
            "nothing was changed",
            [
                Problem(
                    code="node-runs",
                    tag=str(run_dir.parent),
                    found="a node that runs on this data directory",
                    expected="a node that is stopped",
                    remedy="stop it (systemctl stop onconode), restore, and start it again",
                )
            ],
        ) from None
    with held:
        give_like(lock, run_dir)
        yield


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    """Make a folder for as long as the block lasts."""
    _make_folder(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _make_folder(folder: Path) -> None:
    make_parents(folder / "file")
