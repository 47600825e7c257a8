"""``onconode backup``: database, configuration and models in one file, while the node runs."""

import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom import dcmread
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.orm import Session

from node import __version__
from node.bootstrap.auditing import open_trail, tell_export
from node.bootstrap.backup_places import (
    AUDIT,
    CONFIG,
    CONFIGURATION,
    DATA,
    DATABASE,
    FEEDBACK,
    MODELS,
    NO_DATABASE,
    POSTGRESQL_DUMP,
    SPOOLED,
    SQLITE_COPY,
)
from node.bootstrap.configuring import version_store
from node.bootstrap.parts import Parts
from node.bootstrap.restoring import refuse_unfinished
from node.config.settings import NodeSettings, Settings
from node.config.versions import VersionStore
from node.domain.errors import Problem, SetupFault, TryLater
from node.jobs.open_work import OpenFile, OpenWork, find_open_work
from node.storage.archive import ArchiveWriter, Manifest, writing_archive
from node.storage.clock import utc_now
from node.storage.database import open_as_it_is, sqlite_url
from node.storage.migrate import schema_of
from node.storage.postgresql_programs import dump_postgresql
from node.storage.snapshot import copy_sqlite
from node.telemetry.audit.chain import LOCK, lock_chain

OF_THE_SOFTWARE = frozenset({"schema", ".md"})
"""Folders, and ends of file names, beside the configuration that are not the site's."""


@dataclass(frozen=True, kw_only=True)
class BackUp:
    """A backup that was written.

    Parameters
    ----------
    place : Path
    size_bytes : int
    manifest : Manifest
    left_out : tuple of Path
        Files of open work that are not there any more.
    """

    place: Path
    size_bytes: int
    manifest: Manifest
    left_out: tuple[Path, ...]


def back_up(
    settings: Settings,
    config_dir: Path,
    place: Path,
    *,
    database: bool = True,
    models: bool = True,
    spool: bool = False,
) -> BackUp:
    """Write a backup; the node may run meanwhile.

    The database is copied first, as it is at one moment; what is added after belongs to it.

    Parameters
    ----------
    settings : Settings
    config_dir : Path
    place : Path
        New file, or a folder that gets one named after the node and the time.
    database, models : bool
        Whether they are wanted.
    spool : bool
        Also the objects and results of work that is not finished, and what people said of results
        by DICOM objects: data of patients.

    Raises
    ------
    SetupFault
        The file exists already, the database is damaged, ``pg_dump`` is missing, or a restore was
        interrupted.
    TryLater
        Disk full, database locked or away.
    """
    node = settings.node
    refuse_unfinished(node.data_dir)
    now = utc_now()
    place = _choose_place(place, node.ae_title, now)
    left_out: list[Path] = []
    facts = {
        "created_at": now.isoformat(timespec="seconds"),
        "ae_title": node.ae_title,
        "config_dir": str(config_dir.resolve()),
        "data_dir": str(node.data_dir.resolve()),
        "database": NO_DATABASE,
        "schema": "",
        "spool": str(spool).lower(),
        "models": str(models).lower(),
    }
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".onconode-backup-", dir=place.parent) as folder,
            writing_archive(place, written_at_s=int(now.timestamp())) as archive,
        ):
            if database:
                with _copied_database(node, Path(folder)) as copied:
                    if copied is not None:
                        archive.add_file(copied.file, f"{DATABASE}/{copied.file.name}")
                        facts |= {"database": copied.backend, "schema": copied.schema}
                        work = copied.work
                        if spool:
                            data_dir = node.data_dir.resolve()
                            files = [*work.objects, *work.results, *_opinions(data_dir)]
                            taken, gone = _add_files(archive, files, data_dir)
                            left_out += gone
                            # before the file gets its name: what is out has been told of
                            tell_export(open_trail(Parts(settings=settings), "cli"), taken, place)
            _add_tree(archive, config_dir, CONFIG, without=OF_THE_SOFTWARE)
            if models:
                _add_tree(archive, node.models_dir, MODELS)
            _add_audit(archive, node.data_dir / AUDIT)
            _add_versions(archive, version_store(node.data_dir))
            manifest = archive.finish(software_version=__version__, facts=facts)
    except OSError as error:
        raise TryLater(f"the backup could not be written: {error}") from error
    return BackUp(
        place=place,
        size_bytes=place.stat().st_size,
        manifest=manifest,
        left_out=tuple(left_out),
    )


def _choose_place(place: Path, ae_title: str, now: datetime) -> Path:
    if place.is_dir():
        title = re.sub(r"[^A-Za-z0-9_-]+", "_", ae_title)  # never trusted as a path
        place = place / f"onconode-{title}-{now:%Y%m%dT%H%M%SZ}.tar"
    if place.exists():
        raise SetupFault(
            f"{place} exists",
            [
                Problem(
                    code="backup-exists",
                    tag=str(place),
                    found="a file of that name",
                    expected="a new name: no backup is ever overwritten",
                    remedy="give another name, or a folder",
                )
            ],
        )
    if not place.parent.is_dir():
        raise SetupFault(f"there is no folder {place.parent}")
    return place


@dataclass(frozen=True, kw_only=True)
class _CopiedDatabase:
    file: Path
    backend: str
    schema: str
    work: OpenWork


@contextmanager
def _copied_database(node: NodeSettings, folder: Path) -> Iterator[_CopiedDatabase | None]:
    """Copy the database into a folder; None where no node has run yet."""
    url = node.database_url or sqlite_url(node.data_dir)
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        source = Path(parsed.database or "")
        if not source.is_file():
            yield None
            return
        copy = folder / SQLITE_COPY
        copy_sqlite(source, copy)
        engine = create_engine(f"sqlite:///{copy}")
        try:
            with engine.connect() as connection, Session(connection) as session:
                copied = _CopiedDatabase(
                    file=copy,
                    backend="sqlite",
                    schema=schema_of(connection),
                    work=find_open_work(session),
                )
        finally:
            engine.dispose()
        yield copied
        return
    engine = open_as_it_is(url)
    try:
        yield _dump(engine, url, folder / POSTGRESQL_DUMP)
    finally:
        engine.dispose()


def _dump(engine: Engine, url: str, file: Path) -> _CopiedDatabase:
    """Dump PostgreSQL, and read in the very snapshot that is dumped what work is open."""
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        snapshot = connection.scalar(text("SELECT pg_export_snapshot()"))
        dump_postgresql(url, file, snapshot=str(snapshot))
        with Session(connection) as session:
            return _CopiedDatabase(
                file=file,
                backend="postgresql",
                schema=schema_of(connection),
                work=find_open_work(session),
            )


def _opinions(data_dir: Path) -> Iterator[OpenFile]:
    """Yield the copies of objects that say something of a result."""
    for path in sorted((data_dir / FEEDBACK).glob("*.dcm")):
        header = dcmread(
            path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPClassUID"]
        )
        yield OpenFile(
            path=path,
            study_instance_uid=str(header.StudyInstanceUID),
            sop_class_uid=str(header.SOPClassUID),
        )


def _add_files(
    archive: ArchiveWriter, files: Sequence[OpenFile], data_dir: Path
) -> tuple[list[OpenFile], list[Path]]:
    """Add files of the data folder; return them, and those that are not there any more."""
    taken, gone = [], []
    for file in files:
        name = file.path.relative_to(data_dir) if file.path.is_relative_to(data_dir) else Path()
        if not name.parts or name.parts[0] not in SPOOLED:
            gone.append(file.path)
            continue
        try:
            archive.add_file(file.path, f"{DATA}/{name.as_posix()}")
        except FileNotFoundError:
            gone.append(file.path)
        else:
            taken.append(file)
    return taken, gone


def _add_tree(
    archive: ArchiveWriter, folder: Path, name: str, *, without: frozenset[str] = frozenset()
) -> None:
    """Add the files below a folder, through links.

    Names that begin with a dot are left out, and so are folders, files and suffixes in ``without``.
    """
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each not in without
        )
        for file in sorted(files):
            path = Path(place) / file
            if file.startswith(".") or file in without or path.suffix in without:
                continue
            if path.is_file():
                archive.add_file(path, f"{name}/{path.relative_to(folder).as_posix()}")


def _add_versions(archive: ArchiveWriter, store: VersionStore) -> None:
    """Add the versions of the configuration, none of which is applied meanwhile."""
    if store.folder.is_dir():
        with store.changing():
            _add_tree(archive, store.folder, f"{DATA}/{CONFIGURATION}", without=frozenset({"lock"}))


def _add_audit(archive: ArchiveWriter, folder: Path) -> None:
    """Add the audit trail up to one record, whatever is appended meanwhile."""
    if not folder.is_dir():
        return
    with lock_chain(folder, fcntl.LOCK_SH):
        files = sorted(
            path
            for path in folder.iterdir()
            if path.name != LOCK and not path.name.startswith(".") and path.is_file()
        )
        head = {path: path.read_bytes() for path in files if path.suffix == ".json"}
        sizes = {path: path.stat().st_size for path in files if path not in head}
    for path, size_bytes in sizes.items():
        archive.add_file(path, f"{DATA}/{AUDIT}/{path.name}", size_bytes=size_bytes)
    for path, data in head.items():
        archive.add_bytes(data, f"{DATA}/{AUDIT}/{path.name}")
