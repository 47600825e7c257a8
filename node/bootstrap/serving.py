"""``onconode serve``: the supervisor and its children."""

import sys
from collections.abc import Iterable
from pathlib import Path

import structlog

from node.bootstrap.auditing import name_of_user, open_trail, tell_tampering
from node.bootstrap.configuring import apply_files, refuse_half_written, version_store
from node.bootstrap.observing import is_observer_wanted
from node.bootstrap.parts import Parts
from node.bootstrap.processes import SETUP_FAULT_EXIT
from node.bootstrap.restoring import refuse_unfinished
from node.config.settings import Settings
from node.config.versions import VersionStore
from node.domain.errors import OncoNodeError, SetupFault
from node.jobs.supervisor import Supervisor
from node.telemetry.audit.events import application_activity
from node.telemetry.audit.trail import AuditTrail
from node.telemetry.log import configure_logging

log = structlog.get_logger()

WORKER = "worker"
FEW_HEAPS = {"MALLOC_ARENA_MAX": "2"}
"""glibc gives up to eight heaps for each processor to the threads of a process. Each of them keeps
what one busy moment needed, so processes whose threads come and go grow for hours. Not for workers:
their threads compute, and would wait for each other."""


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
    configure_logging(
        settings.node.log, process="supervisor", folder=settings.node.data_dir / "log"
    )
    parts = Parts(settings=settings)
    refuse_unfinished(settings.node.data_dir)
    versions = version_store(settings.node.data_dir)
    refuse_half_written(versions, config_dir)
    _ = parts.engine  # migrate once, before the children open the database together
    trail = open_trail(parts, "supervisor")
    children = _children(settings, config_dir.resolve(), versions)
    code = Supervisor(
        children,
        run_dir=parts.run_dir,
        fatal_exit_codes=frozenset({SETUP_FAULT_EXIT}),
        before_start=lambda: _begin(parts, config_dir, versions, trail),
        on_hangup=lambda: _apply(config_dir, versions),
        environments=environments_of(name for name, _ in children),
    ).run()
    trail.record(application_activity(trail.node, started=False))
    if code == SETUP_FAULT_EXIT:
        raise SetupFault("the node stopped: see the message of its process above")
    return code


def environments_of(children: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return the variables of each child by name, where an operator has set none."""
    return {name: FEW_HEAPS for name in children if not name.startswith(WORKER)}


def _begin(parts: Parts, config_dir: Path, versions: VersionStore, trail: AuditTrail) -> None:
    """Put the files in effect as the version that the node starts with."""
    try:
        applied = apply_files(config_dir, reason="start", is_start=True, store=versions)
    except SetupFault as fault:
        tell_tampering(trail, fault)
        raise
    trail.record(application_activity(trail.node, started=True, by=name_of_user()))
    log.info("config.started", version=applied.version.number, digest=applied.version.digest[:12])
    _take_back(parts)


def _apply(config_dir: Path, versions: VersionStore) -> None:
    """Apply the files at SIGHUP; faults are told, and what was in effect stays."""
    try:
        applied = apply_files(config_dir, reason="apply (SIGHUP)", store=versions)
    except (OncoNodeError, OSError) as fault:
        log.error("config.refused", reason=str(fault))
        return
    log.info(
        "config.applied",
        version=applied.version.number,
        changed=[change.key for change in applied.changes],
        wait_for_restart=[change.key for change in applied.pending],
    )


def _take_back(parts: Parts) -> None:
    """Queue what an earlier run of this node had leased: its workers died with it."""
    if not parts.settings.node.jobs.scheduler_address:  # workers of a foreign cluster live on
        parts.ledger.release_leases(f"{parts.owner}/")


def _children(
    settings: Settings, config_dir: Path, versions: VersionStore
) -> list[tuple[str, list[str]]]:
    def command(role: str, name: str = "") -> list[str]:
        return [
            *(sys.executable, "-m", "node.bootstrap.processes", role),
            *("--config", str(config_dir), "--versions", str(versions.folder)),
            *(("--name", name) if name else ()),
        ]

    children = []
    if not settings.node.jobs.scheduler_address:
        children.append(("scheduler", command("scheduler")))
        children += [
            (f"{WORKER}-{number}", command(WORKER, f"{WORKER}-{number}"))
            for number in range(1, settings.node.jobs.workers + 1)
        ]
    children += [("dispatcher", command("dispatcher")), ("listener", command("listener"))]
    if is_observer_wanted(settings.node):
        children.append(("observer", command("observer")))
    if settings.node.web.enabled:
        children.append(("web", command("web")))
    return children
