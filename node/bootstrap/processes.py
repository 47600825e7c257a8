"""The processes of a node: ``python -m node.bootstrap.processes ROLE --config DIR``.

Each is a child of ``onconode serve`` and dies with it.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from node.bootstrap.parts import Parts
from node.config.load import load_settings
from node.domain.errors import OncoNodeError, SetupFault
from node.jobs.lifeline import watch_parent
from node.telemetry.log import configure_logging

SETUP_FAULT_EXIT = 78
"""EX_CONFIG of sysexits.h: a restart cannot help."""


def run_listener(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Receive until told to stop."""
    from node.receive.scp import Listener

    node = parts.settings.node
    listener = Listener(
        settings=node, peers=parts.settings.peers, store=parts.store, spool=parts.spool
    )
    listener.start()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
    listener.stop(drain_s=10)


def run_dispatcher(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Assemble, claim, submit and send until told to stop."""
    from node.bootstrap.assembling import Assembler
    from node.bootstrap.entry import run_job
    from node.bootstrap.purging import purge
    from node.deliver.outbox import deliver_batch
    from node.jobs.dispatcher import Dispatcher, delivery_owner
    from node.jobs.engine import DaskEngine

    settings = parts.settings
    Dispatcher(
        ledger=parts.ledger,
        engine=DaskEngine(parts.scheduler, run_job),
        assemble_quiet=Assembler(parts).tick,
        deliver=partial(
            deliver_batch,
            ledger=parts.ledger,
            peers=settings.peers,
            calling_ae_title=settings.node.ae_title,
            settings=settings.node.deliver,
            owner=delivery_owner(parts.owner),
        ),
        settings=settings.node.jobs,
        owner=parts.owner,
        purge=partial(purge, parts),
    ).run()


def run_dask_scheduler(parts: Parts, config_dir: Path) -> None:  # noqa: ARG001 - all roles are called alike
    """Run the embedded scheduler."""
    from node.jobs.dask_nodes import run_scheduler

    run_scheduler(address_file=parts.run_dir / "scheduler.address")


def run_dask_worker(parts: Parts, config_dir: Path) -> None:
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
    task.configure_worker(config_dir)
    run_worker(
        scheduler_address=parts.scheduler,
        local_directory=parts.run_dir / "dask",
        warm_up=task.warm_up,
    )


ROLES: dict[str, Callable[[Parts, Path], None]] = {
    "listener": run_listener,
    "dispatcher": run_dispatcher,
    "scheduler": run_dask_scheduler,
    "worker": run_dask_worker,
}


def main() -> None:
    """Run one role; exits with ``SETUP_FAULT_EXIT`` when only a person can help."""
    watch_parent()
    parser = argparse.ArgumentParser(prog="python -m node.bootstrap.processes")
    parser.add_argument("role", choices=sorted(ROLES))
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        settings = load_settings(options.config)
        configure_logging(settings.node.log, process=options.role)
        ROLES[options.role](Parts(settings=settings), options.config)
    except SetupFault as fault:
        sys.stderr.write(f"{fault}\n")
        sys.exit(SETUP_FAULT_EXIT)
    except OncoNodeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
