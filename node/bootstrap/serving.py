"""``onconode serve``: the supervisor and its children."""

import sys
from pathlib import Path

from node.bootstrap.parts import Parts
from node.bootstrap.processes import SETUP_FAULT_EXIT
from node.config.settings import Settings
from node.domain.errors import SetupFault
from node.jobs.supervisor import Supervisor
from node.registry.store import ModelStore
from node.telemetry.log import configure_logging


def serve(settings: Settings, config_dir: Path) -> int:
    """Run the node until SIGTERM or SIGINT.

    Parameters
    ----------
    settings : Settings
        Already checked; the children read them again from ``config_dir``.
    config_dir : Path

    Returns
    -------
    int
        0 after an orderly stop.

    Raises
    ------
    SetupFault
        If a child found a fault that no restart can mend, or another node runs on the data.
    """
    configure_logging(settings.node.log, process="supervisor")
    parts = Parts(settings=settings)
    for bundle in sorted({rule.bundle for rule in settings.routing}):
        ModelStore(settings.node.models_dir).get(bundle)  # a changed bundle stops the start
    _ = parts.engine  # migrate once, before the children open the database together
    code = Supervisor(
        _children(settings, config_dir.resolve()),
        run_dir=parts.run_dir,
        fatal_exit_codes=frozenset({SETUP_FAULT_EXIT}),
        before_start=lambda: _take_back(parts),
    ).run()
    if code == SETUP_FAULT_EXIT:
        raise SetupFault("the node stopped: see the message of its process above")
    return code


def _take_back(parts: Parts) -> None:
    """Queue what an earlier run of this node had leased: its workers died with it."""
    if not parts.settings.node.jobs.scheduler_address:  # workers of a foreign cluster live on
        parts.ledger.release_leases(f"{parts.owner}/")


def _children(settings: Settings, config_dir: Path) -> list[tuple[str, list[str]]]:
    def command(role: str) -> list[str]:
        return [
            sys.executable, "-m", "node.bootstrap.processes", role, "--config", str(config_dir),
        ]  # fmt: skip

    children = []
    if not settings.node.jobs.scheduler_address:
        children.append(("scheduler", command("scheduler")))
        children += [
            (f"worker-{number}", command("worker"))
            for number in range(1, settings.node.jobs.workers + 1)
        ]
    return [*children, ("dispatcher", command("dispatcher")), ("listener", command("listener"))]
