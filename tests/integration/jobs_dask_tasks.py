"""What the Dask processes of the tests run; imported by name in the worker."""

import sys
import time
from pathlib import Path

from node.jobs.dask_nodes import run_scheduler, run_worker
from node.jobs.ledger import Ledger
from node.storage.database import open_database, sqlite_url

LEASE_S = 2.0


def open_ledger(home: Path) -> Ledger:
    engine = open_database(sqlite_url(home))
    return Ledger(engine, lease_s=LEASE_S, maximum_attempts=5, retry_backoff_s=0.1)


def work(job_id: str, owner: str) -> None:
    """Run a job that waits until the test lets it go on, keeping its lease meanwhile."""
    home = Path(sys.argv[2])
    ledger = open_ledger(home)
    if not ledger.enter_stage(job_id, owner, "segment"):
        return
    (home / f"{job_id}.begun").touch()
    while not (home / "go").exists():
        if not ledger.renew(job_id, owner):
            return
        time.sleep(0.05)
    ledger.finish(job_id, owner, evidence=[], result={"warm": (home / "warm").exists()})


if __name__ == "__main__":
    role, home = sys.argv[1], Path(sys.argv[2])
    address_file = home / "run" / "scheduler"
    if role == "scheduler":
        run_scheduler(address_file=address_file)
    else:
        run_worker(
            scheduler_address=address_file,
            local_directory=home / "dask",
            warm_up=(home / "warm").touch,
            drain_s=10,
        )
