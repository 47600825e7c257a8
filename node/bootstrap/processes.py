"""The processes of a node: ``python -m node.bootstrap.processes ROLE --config DIR``.

Each is a child of ``onconode serve`` and dies with it.
"""

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from node.bootstrap.configuring import version_store
from node.bootstrap.following import ConfigFollower
from node.bootstrap.parts import Parts
from node.config.load import load_settings
from node.config.running import load_running
from node.config.settings import Settings
from node.config.versions import VersionStore
from node.domain.errors import OncoNodeError, SetupFault
from node.jobs.lifeline import watch_parent
from node.telemetry.log import configure_logging

if TYPE_CHECKING:
    from node.jobs.job import Delivery

log = structlog.get_logger()

DAY_S = 86400.0
SIGNAL_LOOK_S = 0.5
DRAIN_S = 10.0
HANGING_S = 2 * DRAIN_S
SETUP_FAULT_EXIT = 78
"""EX_CONFIG of sysexits.h: a restart cannot help."""


def run_listener(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Receive until told to stop; peers may change meanwhile."""
    from node.bootstrap.audit_arrivals import AuditedInstanceStore, ReceivingAudit
    from node.bootstrap.auditing import open_trail
    from node.bootstrap.certificates import warn_of_expiry
    from node.bootstrap.proving import commitment_service
    from node.bootstrap.purging import disk_room
    from node.receive.association_log import AssociationLog
    from node.receive.scp import Listener

    node = parts.settings.node
    audit = ReceivingAudit(open_trail(parts, "listener"))
    room = disk_room(parts)
    listener = Listener(
        settings=node,
        peers=parts.settings.peers,
        store=AuditedInstanceStore(parts.engine, audit=audit),
        spool=parts.spool,
        commitment=commitment_service(parts),
        associations=AssociationLog(
            parts.associations, listener=parts.owner, observers=[audit.associated]
        ),
        closed=lambda: (
            "less disk is free than disk.soft_free_mb" if room.is_below_soft_mark() else ""
        ),
    )
    listener.start()

    def take_up(settings: Settings) -> None:
        listener.take_up(settings.node, settings.peers)
        parts.take_up(settings)

    _follow(parts, "listener", take_up)
    stopped = _stop_signal()
    while not stopped.is_set():
        warn_of_expiry(parts.settings)
        _wait_for(stopped, DAY_S)
    # Should it hang, the log of the process tells where before the supervisor kills it.
    faulthandler.dump_traceback_later(HANGING_S)
    listener.stop(drain_s=DRAIN_S)
    audit.close()
    faulthandler.cancel_dump_traceback_later()


def run_dispatcher(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Assemble, claim, submit and send until told to stop."""
    from node.bootstrap.asking_feedback import FeedbackAsker
    from node.bootstrap.assembling import Assembler
    from node.bootstrap.auditing import audit_deliveries, note_audit_anchor, open_trail
    from node.bootstrap.entry import run_job
    from node.bootstrap.hearing import Hearing
    from node.bootstrap.proving import proof_rounds
    from node.bootstrap.purging import Cleaner, purge
    from node.bootstrap.refusing import UntoldRejections
    from node.bootstrap.standing_in import ladder_of
    from node.deliver.outbox import DeliveryCounts, deliver_batch
    from node.jobs.dispatcher import Dispatcher, delivery_owner
    from node.jobs.engine import DaskEngine
    from node.storage.clock import utc_now
    from node.storage.removal import recover_trash

    trail = open_trail(parts, "dispatcher")
    ladder = ladder_of(parts, delivery_owner(parts.owner))

    def deliver(deliveries: "Sequence[Delivery]") -> DeliveryCounts:
        settings = parts.settings
        return deliver_batch(
            deliveries,
            ledger=parts.ledger,
            peers=settings.peers,
            calling_ae_title=settings.node.ae_title,
            settings=settings.node.deliver,
            owner=delivery_owner(parts.owner),
            on_negotiated=parts.negotiations.remember,
            ladder=ladder,
        )

    recover_trash(parts.engine, parts.spool)
    _follow(parts, "dispatcher", parts.take_up)
    Dispatcher(
        ledger=parts.ledger,
        engine=DaskEngine(parts.scheduler, run_job),
        assemble_quiet=Assembler(parts, since=utc_now()).tick,
        deliver=audit_deliveries(deliver, parts, trail),
        settings=parts.settings.node.jobs,
        owner=parts.owner,
        purge=partial(purge, parts, trail=trail),
        rounds=proof_rounds(parts),
        chores={
            "clean": Cleaner(parts, trail=trail).tick,
            "anchor": partial(note_audit_anchor, parts),
            "hear": Hearing(parts).tick,
            "ask-feedback": FeedbackAsker(parts).tick,
            "tell-rejected": UntoldRejections(parts).tick,
        },
    ).run()


def run_dask_scheduler(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Run the embedded scheduler."""
    from node.jobs.dask_nodes import run_scheduler

    run_scheduler(address_file=parts.run_dir / "scheduler.address")


def run_dask_worker(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Run a worker: the only process that loads TensorFlow."""
    from node.bootstrap import task
    from node.jobs.dask_nodes import run_worker

    # Read by TensorFlow, OpenMP and SimpleITK when they are loaded, which is not yet.
    threads = str(parts.settings.node.jobs.threads_per_worker)
    for variable in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    ):
        os.environ.setdefault(variable, threads)
    task.configure_worker(parts)
    run_worker(
        scheduler_address=parts.scheduler,
        local_directory=parts.run_dir / "dask",
        warm_up=task.warm_up,
    )


def run_observer(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Serve metrics and health, and forward the audit trail, until told to stop."""
    from node.bootstrap.observing import Observer

    try:
        observer = Observer(parts)
    except SetupFault as fault:  # no reason to stop a node that receives and analyses
        log.error("observer.refused", reason=str(fault))
        sys.exit(1)
    observer.start()
    _follow(parts, "observer", parts.take_up)
    stopped = _stop_signal()
    while not stopped.is_set():
        _wait_for(stopped, DAY_S)
    observer.stop()


def run_web(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Serve the page of the node until told to stop."""
    from node.bootstrap.web_serving import WebService

    try:
        service = WebService(parts)
    except SetupFault as fault:  # no reason to stop a node that receives and analyses
        log.error("web.refused", reason=str(fault))
        sys.exit(1)
    _follow(parts, "web", parts.take_up)
    service.run()


ROLES: dict[str, Callable[[Parts, Path], None]] = {
    "listener": run_listener,
    "dispatcher": run_dispatcher,
    "scheduler": run_dask_scheduler,
    "worker": run_dask_worker,
    "observer": run_observer,
    "web": run_web,
}


def _stop_signal() -> threading.Event:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    return stopped


def _wait_for(stopped: threading.Event, seconds: float) -> None:
    """Wait in short turns: a signal that another thread receives does not wake this one.

    Python calls its handlers in the main thread only, when that runs next.
    """
    end = time.monotonic() + seconds
    while not stopped.wait(SIGNAL_LOOK_S) and time.monotonic() < end:
        pass


def _follow(parts: Parts, role: str, take_up: Callable[[Settings], object]) -> None:
    """Take up what is applied while the process runs."""
    if parts.applied is not None:
        store = version_store(parts.settings.node.data_dir)
        ConfigFollower(store, role, parts.applied.version.number, take_up).start()


def main() -> None:
    """Run one role; exits with ``SETUP_FAULT_EXIT`` when only a person can help."""
    watch_parent()
    parser = argparse.ArgumentParser(prog="python -m node.bootstrap.processes")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument(
        "--versions", type=Path, help="work by what was applied there, not by the files"
    )
    parser.add_argument("--name", default="", help="of this process, where a role has several")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        applied = load_running(VersionStore(options.versions)) if options.versions else None
        settings = applied.settings if applied else load_settings(options.config)
        configure_logging(
            settings.node.log,
            process=options.name or options.role,
            folder=settings.node.data_dir / "log",
        )
        ROLES[options.role](Parts(settings=settings, applied=applied), options.config)
    except SetupFault as fault:
        sys.stderr.write(f"{fault}\n")
        sys.exit(SETUP_FAULT_EXIT)
    except OncoNodeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
