"""``onconode jobs``: what became of the studies."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from node.cli.feedback_table import feedback_table, rejection_facts, said_of_job
from node.cli.invocation import invocation_of
from node.cli.screen import facts, out, print_problems, table
from node.config.settings import Settings
from node.domain.errors import SetupFault
from node.domain.priority import Priority
from node.jobs.state import IllegalTransition, JobState

if TYPE_CHECKING:
    from node.jobs.job import Delivery, Job
    from node.jobs.ledger import Ledger

app = typer.Typer(no_args_is_help=True, help="List jobs, look into one, retry or cancel it.")

SHORT = 12
"""Characters of a job id that tables show; any unambiguous beginning names a job."""

SEARCHED = 10_000
"""How many of the latest jobs are searched for the beginning of an id."""

STYLES: Mapping[JobState, str] = {
    JobState.DELIVERED: "green",
    JobState.FAILED: "bold red",
    JobState.REJECTED: "red",
    JobState.RUNNING: "cyan",
    JobState.SENDING: "cyan",
}

LANES: Mapping[Priority, str] = {Priority.STAT: "bold red", Priority.HIGH: "yellow"}

JobId = Annotated[
    str, typer.Argument(metavar="JOB", help="Job id, or its first characters if unambiguous.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.command("list")
def list_jobs(
    ctx: typer.Context,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    study: Annotated[
        str | None, typer.Option(metavar="UID", help="Only jobs of this Study Instance UID.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the latest jobs."""
    jobs = open_ledger(invocation_of(ctx).settings).list(state=state, study=study, limit=limit)
    if as_json:
        _print_json([asdict(job) for job in jobs])
        return
    if not jobs:
        out.print("no jobs")
        return
    rows = table(
        "job", "state", "priority", "stage", "tries", "bundle", "changed", "study", "error"
    )
    for job in jobs:
        rows.add_row(
            job.job_id[:SHORT],
            _state(job.state),
            Text(job.priority.value, style=LANES.get(job.priority, "")),
            job.stage,
            str(job.attempts),
            Text(job.bundle),
            _time(job.updated_at),
            job.study_instance_uid,
            Text(job.error.partition("\n")[0]),
        )
    out.print(rows)


@app.command("show")
def show_job(ctx: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: what it is, its history, its deliveries, and why it was refused."""
    settings = invocation_of(ctx).settings
    ledger = open_ledger(settings)
    job = _find(ledger, job_id)
    said = said_of_job(settings, job.job_id)
    events, deliveries = ledger.events(job.job_id), ledger.deliveries(job.job_id)
    if as_json:
        _print_json(
            {
                **asdict(job),
                "events": [asdict(event) for event in events],
                "deliveries": [asdict(delivery) for delivery in deliveries],
                "feedback": [asdict(each) for each in said],
            }
        )
        return
    out.print(
        facts(
            [
                ("job", job.job_id),
                ("state", job.state.value),
                ("priority", job.priority.value),
                ("study", job.study_instance_uid),
                ("series", ", ".join(job.series_instance_uids) or "none"),
                *_arrival(job),
                ("bundle", f"{job.bundle or 'none'} by rule {job.rule or 'none'}"),
                ("sent by", job.calling_ae_title),
                ("destinations", ", ".join(job.destinations) or "none"),
                (
                    "memory",
                    f"{job.memory_bytes / 2**20:.0f} MB" if job.memory_bytes else "not known",
                ),
                ("tries", str(job.attempts)),
                *_flags(job),
                ("error", job.error or "none"),
                *rejection_facts(said),
            ]
        )
    )
    history = table("at", "event", "state", "stage", "detail", title="History")
    for event in events:
        history.add_row(
            _time(event.at), event.event, _state(event.state), event.stage, Text(event.detail)
        )
    out.print(history)
    if deliveries:
        sent = table("to", "kind", "state", "tries", "object", "remark", title="Deliveries")
        for delivery in deliveries:
            sent.add_row(
                Text(delivery.destination),
                delivery.kind,
                delivery.state.value,
                str(delivery.attempts),
                delivery.sop_instance_uid,
                Text(delivery.error or _proof(delivery)),
            )
        out.print(sent)
    if said:
        out.print(feedback_table(said, title="What was said of it"))
    print_problems(job.problems)


@app.command("retry")
def retry_job(ctx: typer.Context, job_id: JobId) -> None:
    """Do a failed, refused or cancelled job again; results that exist are only sent again."""
    ledger = open_ledger(invocation_of(ctx).settings)
    _change(ledger, job_id, ledger.retry, "retried")


@app.command("cancel")
def cancel_job(ctx: typer.Context, job_id: JobId) -> None:
    """Stop a job that is not finished; what a destination has accepted stays there."""
    ledger = open_ledger(invocation_of(ctx).settings)
    _change(ledger, job_id, ledger.cancel, "cancelled")


def open_ledger(settings: Settings) -> "Ledger":
    """Open the ledger that the node of this configuration uses.

    Raises
    ------
    SetupFault
        If the node has not run yet, so that there is none.
    """
    from node.jobs.ledger import Ledger
    from node.storage.database import open_database, sqlite_url

    node = settings.node
    if not node.database_url and not any(node.data_dir.glob("*.db")):
        raise SetupFault(f"no ledger in {node.data_dir}: has the node run with this configuration?")
    engine = open_database(node.database_url or sqlite_url(node.data_dir))
    return Ledger(
        engine,
        lease_s=node.jobs.lease_s,
        maximum_attempts=node.jobs.maximum_attempts,
        retry_backoff_s=node.jobs.retry_backoff_s,
        retry_backoff_maximum_s=node.jobs.retry_backoff_maximum_s,
    )


def _find(ledger: "Ledger", beginning: str) -> "Job":
    try:
        return ledger.get(beginning)
    except KeyError:
        pass
    found = [job for job in ledger.list(limit=SEARCHED) if job.job_id.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    if found:
        raise typer.BadParameter(f"{len(found)} jobs begin with {beginning!r}: say more of the id")
    raise typer.BadParameter(f"no job {beginning!r}")


def _change(ledger: "Ledger", beginning: str, action: Callable[[str], "Job"], done: str) -> None:
    job = _find(ledger, beginning)
    try:
        changed = action(job.job_id)
    except IllegalTransition:
        raise typer.BadParameter(
            f"job {job.job_id[:SHORT]} is {job.state.value} and cannot be {done}"
        ) from None
    out.print(f"job {job.job_id[:SHORT]} {done}; it is {changed.state.value} now")


def _state(state: JobState) -> Text:
    return Text(state.value, style=STYLES.get(state, ""))


def _arrival(job: "Job") -> list[tuple[str, str]]:
    """What the job knows of the arrival of its study; nothing of one that was refused."""
    if not job.series_instance_uids:
        return []
    intake = job.intake
    told = [("arrival", " ".join([str(intake.completeness), *intake.completeness.limitations]))]
    told += [
        ("volume", f"{part} (by {part.chosen_by})") for part in intake.parts if part is not None
    ]
    if intake.predecessor:
        told.append(("takes the place of", intake.predecessor.sop_instance_uid))
    return told


def _flags(job: "Job") -> list[tuple[str, str]]:
    """Why a person should look at the result first; nothing before there is one."""
    triage = job.result.get("triage")
    if triage is None:
        return []
    told = (
        f"{each['flag']} (lesion {each['lesion']}: {each['reason']})" for each in triage["raised"]
    )
    return [("triage", "; ".join(told) or "no flag")]


def _proof(delivery: "Delivery") -> str:
    """Tell how far the proof of a delivery is, and how it came about."""
    if delivery.commitment is None:
        return ""
    lost = f"lost {delivery.losses} times" if delivery.losses else ""
    waiting = "" if delivery.commitment == "closed" else f"commitment {delivery.commitment.value}"
    return "; ".join(filter(None, (waiting, lost, delivery.commitment_detail)))


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, default=_jsonable, ensure_ascii=False, indent=2))


def _jsonable(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
