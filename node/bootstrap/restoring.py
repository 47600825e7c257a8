"""``onconode restore``: put a backup into its place, all of it checked before anything changes."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.bootstrap.backup_places import (
    CONFIG,
    DATA,
    DATABASE,
    HISTORIES,
    MODELS,
    NO_DATABASE,
    SPOOLED,
    UNFINISHED,
)
from node.bootstrap.put_in_place import Placing
from node.bootstrap.restoring_database import check_kind, databases_there, restore_database
from node.config.load import load_node_settings
from node.config.settings import NodeSettings
from node.domain.errors import InputRejected, Problem, SetupFault
from node.durable import give_like, make_private_folder, synchronise_if_possible, write_durably
from node.jobs.supervisor import hold_lock
from node.storage.archive import Manifest, extract, read_manifest
from node.storage.clock import utc_now
from node.storage.migrate import known_schemas

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
    kept : tuple of str
        Folders with a history of their own (audit trail, versions of the configuration): they
        stayed as they are, and that of the backup was left in it.
    """

    manifest: Manifest
    data_dir: Path
    models_dir: Path
    database: str
    moved_aside: Path | None
    send_again: tuple[str, ...]
    kept: tuple[str, ...] = ()


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
        A node runs there, something is in the way, the database is of another kind, or a
        place cannot be written.
    """
    manifest = check_backup(archive)
    config_dir = config_dir.resolve()
    try:
        with tempfile.TemporaryDirectory(prefix="onconode-restore-") as temporary:
            staged_config = Path(temporary)
            extract(archive, manifest, folder=CONFIG, into=staged_config)
            node = load_node_settings(
                staged_config if config else config_dir, home=config_dir, environment=environment
            )
            check_kind(manifest, node)
            aside = node.data_dir / f"before-restore-{utc_now():%Y%m%dT%H%M%SZ}"
            placing = Placing(aside)
            if config:
                placing.plan(staged_config, config_dir, CONFIG)
            kept, send_again = _place(
                placing, archive, manifest, node, folders=[MODELS] if models else [], force=force
            )
    except OSError as error:
        raise SetupFault(f"the restore could not be finished: {error}") from error
    return Restored(
        manifest=manifest,
        data_dir=node.data_dir,
        models_dir=node.models_dir,
        database=manifest.facts.get("database", NO_DATABASE),
        moved_aside=aside if aside.is_dir() else None,
        send_again=send_again,
        kept=kept,
    )


def _place(
    placing: Placing,
    archive: Path,
    manifest: Manifest,
    node: NodeSettings,
    *,
    folders: Sequence[str],
    force: bool,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Unpack beside the node's data, look what is in the way, and put everything in its place.

    Returns
    -------
    tuple of tuple
        Folders whose own history was kept, and studies to be sent again.
    """
    run_dir = node.data_dir / RUN
    make_private_folder(run_dir)
    with (
        _only_node(run_dir),
        _folder(node.data_dir / f".restore-{secrets.token_hex(4)}") as staged,
    ):
        for folder in (DATA, DATABASE, *folders):
            extract(archive, manifest, folder=folder, into=staged / folder)
        placing.plan(staged / MODELS, node.models_dir, MODELS)
        mark = node.data_dir / UNFINISHED
        histories = _histories_to_place(node.data_dir, mark)
        for name in (*SPOOLED, *histories):
            placing.plan(staged / DATA / name, node.data_dir / name, f"{DATA}/{name}")
        if not force:
            _check_way(placing, manifest, node)
        write_durably(mark, "\n".join(histories).encode())
        kept = tuple(
            name
            for name in HISTORIES
            if name not in histories and any((staged / DATA / name).glob("*"))
        )
        placing.carry_out()
        send_again = restore_database(placing, manifest, node, staged / DATABASE)
        mark.unlink()
        synchronise_if_possible(mark.parent)
    return kept, send_again


def _histories_to_place(data_dir: Path, mark: Path) -> list[str]:
    """Those that are not there yet, and those that an interrupted restore had begun to place."""
    begun = mark.read_text("utf-8").split() if mark.exists() else []
    return [name for name in HISTORIES if name in begun or not any((data_dir / name).glob("*"))]


def _check_way(placing: Placing, manifest: Manifest, node: NodeSettings) -> None:
    """Raise SetupFault with everything that a restore would have to move aside."""
    found = [str(path) for path in placing.in_the_way()]
    if manifest.facts.get("database", NO_DATABASE) != NO_DATABASE:
        found += databases_there(node)
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
    make_private_folder(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
