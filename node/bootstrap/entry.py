"""What Dask is told to run: a name that every process can import, and only a worker calls.

Dispatcher and scheduler get to know the function too. From here they need not load what it works
with (SimpleITK, highdicom, matplotlib: 160 MB in each).
"""


def run_job(job_id: str, owner: str) -> None:
    """Do one job under its lease, see ``node.bootstrap.task.run_job``."""
    from node.bootstrap.task import run_job as work

    work(job_id, owner)
