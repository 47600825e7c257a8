"""A worker whose task hangs as the job's rule says; imported by name in the worker."""

import ctypes
import sys
import time
from pathlib import Path

from node.bootstrap.lease import LeaseKeeper
from node.jobs.dask_nodes import run_scheduler, run_worker
from node.jobs.ledger import Ledger
from node.jobs.lifeline import watch_parent
from node.storage.database import open_database, sqlite_url

LEASE_S = 3.0
STAGE_S = 1.0
SILENT_S = 6.0
FOR_EVER_S = 600


def open_ledger(home: Path) -> Ledger:
    engine = open_database(sqlite_url(home))
    return Ledger(engine, lease_s=LEASE_S, maximum_attempts=2, retry_backoff_s=0.1)


def work(job_id: str, owner: str) -> None:
    """Hang in a stage, or be done at once."""
    ledger = open_ledger(Path(sys.argv[2]))
    keeper = LeaseKeeper(
        ledger,
        job_id,
        owner,
        every_s=LEASE_S / 3,
        timeouts_s={"segment": STAGE_S, "report": FOR_EVER_S},
        silent_s=SILENT_S,
    )
    with keeper as lease:
        match ledger.get(job_id).rule:
            case "hangs":
                lease.enter_stage("segment")
                time.sleep(FOR_EVER_S)
            case "hangs-holding-the-lock":  # foreign code that lets no thread run
                lease.enter_stage("report")
                ctypes.PyDLL(None).sleep(FOR_EVER_S)
        lease.enter_stage("report")
        ledger.finish(job_id, owner, evidence=[], result={})


if __name__ == "__main__":
    watch_parent()
    role, folder = sys.argv[1], Path(sys.argv[2])
    address_file = folder / "run" / "scheduler"
    if role == "scheduler":
        run_scheduler(address_file=address_file)
    else:
        run_worker(scheduler_address=address_file, local_directory=folder / "dask", drain_s=1)
