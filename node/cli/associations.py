"""``onconode associations``: who called, and why somebody was rejected."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import out, table
from node.config.settings import Settings
from node.domain.errors import SetupFault

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from node.storage.associations import AssociationRecord

STYLES = {"rejected": "bold red", "failed": "red", "aborted": "yellow", "open": "cyan"}
MEGABYTE = 1_000_000


def associations(
    ctx: typer.Context,
    refused: Annotated[
        bool,
        typer.Option("--refused", help="Only those that were refused or did not end as usual."),
    ] = False,
    ae: Annotated[
        str | None,
        typer.Option("--ae", metavar="AE", help="Only those of this calling AE title or peer."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all that was negotiated.")
    ] = False,
) -> None:
    """List the latest associations: who called from where, what came of it, and why.

    The numbers beside a rejection are result, source and reason of the A-ASSOCIATE-RJ.
    """
    from node.storage.associations import AssociationStore

    settings = invocation_of(ctx).settings
    store = AssociationStore(open_records(settings), keep=settings.node.receive.keep_associations)
    found = store.list(refused=refused, ae_title=ae, limit=limit)
    if as_json:
        typer.echo(json.dumps([asdict(record) for record in found], default=str, indent=2))
        return
    if not found:
        out.print("no associations")
        return
    rows = table("at", "from", "calling", "called", "TLS", "result", "stored", "MB", "reason")
    for record in found:
        rows.add_row(
            record.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            f"{record.address} {record.peer}".strip(),
            Text(record.calling_ae_title),
            Text(record.called_ae_title),
            record.tls,
            Text(record.result.value, style=STYLES.get(record.result.value, "")),
            str(record.objects_stored),
            f"{record.bytes_stored / MEGABYTE:.1f}",
            Text(_reason(record)),
        )
    out.print(rows)


def open_records(settings: Settings) -> "Engine":
    """Open the database of the node of this configuration.

    Raises
    ------
    SetupFault
        If the node has not run yet.
    """
    from node.storage.database import open_database, sqlite_url

    node = settings.node
    if not node.database_url and not any(node.data_dir.glob("*.db")):
        raise SetupFault(f"no ledger in {node.data_dir}: has the node run with this configuration?")
    return open_database(node.database_url or sqlite_url(node.data_dir))


def _reason(record: "AssociationRecord") -> str:
    told = [f"{record.rejection} {record.reason}".strip()] if record.reason else []
    if record.objects_refused:
        told.append(f"{record.objects_refused} objects refused")
    if record.refused and record.accepted:
        reasons = sorted({context.reason for context in record.refused})
        told.append(f"{len(record.refused)} contexts refused: {', '.join(reasons)}")
    elif record.refused:
        told.append(", ".join(sorted({context.reason for context in record.refused})))
    return "; ".join(told)
