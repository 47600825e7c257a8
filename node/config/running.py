"""The configuration that a running node works by: what was applied, not what is being edited."""

from collections.abc import Mapping
from dataclasses import dataclass

from node.config.changes import take_live
from node.config.load import load_node_settings, load_settings
from node.config.settings import Settings
from node.config.versions import Version, VersionStore
from node.domain.errors import SetupFault


@dataclass(frozen=True, kw_only=True)
class Running:
    """Settings in effect, and the version that they come from."""

    settings: Settings
    version: Version


def load_running(store: VersionStore, *, environment: Mapping[str, str] | None = None) -> Running:
    """Read the settings in effect: of the applied version, what needs no restart.

    Everything else is as the node was started: a process that dies and is started again must not
    listen on another port, or write to another folder, than those beside it.

    Raises
    ------
    SetupFault
        Nothing was applied yet, or what was applied cannot be used any more.
    """
    current, started = store.current, store.started
    if current is None or started is None:
        raise SetupFault(f"no configuration was applied in {store.folder}: start the node")
    settings = load_settings(current.folder, home=current.config_dir, environment=environment)
    if started.number == current.number:
        return Running(settings=settings, version=current)
    node = load_node_settings(started.folder, home=started.config_dir, environment=environment)
    return Running(settings=take_live(node, settings), version=current)
