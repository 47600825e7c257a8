"""Apply a changed configuration to a node, and take one back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.config.changes import Change, list_changes
from node.config.document import read_document
from node.config.files import NODE_FILE
from node.config.load import load_node_settings, load_settings
from node.config.settings import NodeSettings, Settings
from node.config.versions import Version, VersionStore, digest_files, read_files, write_back
from node.domain.errors import Problem, SetupFault, TryLater
from node.registry.store import ModelStore

KEPT = "kept before "
"""Beginning of the reason of a version that was never in effect."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What an application did.

    Parameters
    ----------
    version : Version
        The one in effect now.
    is_new : bool
        False when it was in effect before.
    changes : tuple of Change
        Against what was in effect before; empty where that cannot be read any more.
    pending : tuple of Change
        What waits for a restart of the node, against what it was started with.
    """

    version: Version
    is_new: bool
    changes: tuple[Change, ...]
    pending: tuple[Change, ...]


def version_store(data_dir: Path) -> VersionStore:
    """Return the versions that a node keeps in its data directory."""
    return VersionStore(data_dir / "configuration")


def find_version_store(config_dir: Path, data_dir: Path | None = None) -> VersionStore:
    """Return the same, also when the files have faults.

    Raises
    ------
    SetupFault
        They do not even tell where the data directory is.
    """
    if data_dir is None:
        try:
            data_dir = load_node_settings(config_dir, home=config_dir).data_dir
        except SetupFault as fault:
            document = read_document(config_dir / NODE_FILE)
            value = document.value if isinstance(document.value, dict) else {}
            text = value.get("data_dir", str(NodeSettings().data_dir))
            if not document.readable or not isinstance(text, str):
                raise SetupFault(
                    f"{config_dir / NODE_FILE} does not tell where the data directory is: give "
                    "--data-dir",
                    fault.problems,
                ) from fault
            data_dir = config_dir.resolve().parent / Path(text).expanduser()
    return version_store(data_dir)


def apply_files(
    config_dir: Path,
    *,
    reason: str = "apply",
    is_start: bool = False,
    store: VersionStore | None = None,
) -> Applied:
    """Check the files of a directory and let them take effect.

    Parameters
    ----------
    config_dir : Path
    reason : str
        Stands in the history.
    is_start : bool
        The node starts with it: nothing waits for a restart.
    store : VersionStore, optional
        Of a running node, whatever the files say about its data directory.

    Raises
    ------
    SetupFault
        The files have faults, or a rule names a bundle that is damaged; nothing was changed.
    TryLater
        The files changed meanwhile.
    """
    files = read_files(config_dir)
    settings = load_settings(config_dir)
    check_bundles(settings)
    store = store or version_store(settings.node.data_dir)
    with store.changing():
        if read_files(config_dir) != files:
            raise TryLater(f"{config_dir} changed while it was read: apply it again")
        return _put_in_effect(store, config_dir, files, reason=reason, is_start=is_start)


def roll_back(config_dir: Path, store: VersionStore, number: int | None = None) -> Applied:
    """Write the files of a version back and let them take effect.

    Parameters
    ----------
    config_dir : Path
        Its files are kept as a version first, if they are in none.
    store : VersionStore
    number : int, optional
        Without it: what is in effect, where the files differ from that; else what was before it.

    Raises
    ------
    KeyError
        There is no such version.
    SetupFault
        There is nothing to go back to, or the version has faults by now; nothing was changed.
    """
    with store.changing():
        files = read_files(config_dir)
        target = _find_target(store, digest_files(files), number)
        check_bundles(load_settings(target.folder, home=config_dir))
        if digest_files(files) not in {version.digest for version in store.list()}:
            store.keep(config_dir, files, reason=f"{KEPT}rollback to {target.number}")
        store.begin_to_write_back(target)
        write_back(target, config_dir)
        return _put_in_effect(
            store,
            config_dir,
            read_files(config_dir),
            reason=f"rollback to {target.number}",
            is_start=False,
        )


def refuse_half_written(store: VersionStore, config_dir: Path) -> None:
    """Raise SetupFault where a rollback was interrupted: its files may be of two versions."""
    number = store.half_written_back
    if number is not None:
        raise SetupFault(
            "a rollback of the configuration was interrupted",
            [
                Problem(
                    code="unfinished-rollback",
                    tag=str(config_dir),
                    found="files of which some may be of another version than the others",
                    expected=f"those of version {number} as a whole, or files that you looked at",
                    remedy=f"run onconode config rollback {number} again, or onconode config "
                    "apply where they are as you want them",
                )
            ],
        )


def check_bundles(settings: Settings) -> None:
    """Prove the checksums of every bundle that a rule names.

    Raises
    ------
    SetupFault
        One is damaged.
    """
    for bundle in sorted({rule.bundle for rule in settings.routing}):
        ModelStore(settings.node.models_dir).get(bundle)


def _find_target(store: VersionStore, digest: str, number: int | None) -> Version:
    if number is not None:
        return store.get(number)
    current = store.current
    if current is None:
        raise SetupFault(f"no configuration was applied yet in {store.folder}")
    if digest != current.digest:
        return current
    before = [
        version
        for version in store.list()
        if version.number < current.number
        and version.digest != current.digest
        and not version.reason.startswith(KEPT)
    ]
    if not before:
        raise SetupFault("there is no configuration before the one in effect")
    return before[-1]


def _put_in_effect(
    store: VersionStore,
    config_dir: Path,
    files: Mapping[str, bytes],
    *,
    reason: str,
    is_start: bool,
) -> Applied:
    store.discard_unfinished()
    before = store.current
    is_new = (
        before is None
        or before.digest != digest_files(files)
        or before.config_dir != config_dir.resolve()
    )
    version = store.keep(config_dir, files, reason=reason) if is_new or not before else before
    after = load_settings(version.folder, home=config_dir)
    changes = _compare(before, after) if before and is_new else ()
    store.put_in_effect(version, is_start=is_start)
    return Applied(
        version=version,
        is_new=is_new,
        changes=changes,
        pending=_find_pending(store, after),
    )


def _compare(before: Version, after: Settings) -> tuple[Change, ...]:
    try:
        settings = load_settings(before.folder, home=before.config_dir)
    except SetupFault:  # a bundle or certificate of then is gone
        return ()
    return tuple(list_changes(settings, after))


def _find_pending(store: VersionStore, after: Settings) -> tuple[Change, ...]:
    started = store.started
    if started is None:
        return ()
    node = load_node_settings(started.folder, home=started.config_dir)
    changes = list_changes(Settings(node=node), Settings(node=after.node))
    return tuple(change for change in changes if change.needs_restart)
