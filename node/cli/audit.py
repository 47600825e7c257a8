"""``onconode audit``: whether the audit trail is as it was written, and what stands in it."""

import json
import re
from collections import deque
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import err, out, table
from node.config.settings import Settings
from node.domain.errors import Problem, SetupFault
from node.telemetry.audit.chain import Head
from node.telemetry.audit.reading import select_records, show_record
from node.telemetry.audit.trail import FOLDER
from node.telemetry.audit.verify import verify_trail

app = typer.Typer(no_args_is_help=True, help="Verify the audit trail, or look into it.")

ANCHOR = re.compile(r"(\d+):([0-9a-f]{64})")


@app.command("verify")
def verify(
    ctx: typer.Context,
    anchors: Annotated[
        list[str] | None,
        typer.Option(
            "--anchor",
            metavar="NUMBER:SHA256",
            help="A record that was noted elsewhere, as this command prints it; may be repeated.",
        ),
    ] = None,
    archived: Annotated[
        bool,
        typer.Option("--archived", help="The first files were moved to an archive."),
    ] = False,
) -> None:
    """Find any change, removal or other order in the audit trail; code 5 if there is one.

    That its end was cut off shows against head.json, against the database, and against what was
    noted elsewhere: keep the last line of the output of a sound trail where nobody who can write
    in data_dir can write, and give it as [bold]--anchor[/bold] the next time.
    """
    settings = invocation_of(ctx).settings
    folder = settings.node.data_dir / FOLDER
    noted = [("--anchor", _anchor(text)) for text in anchors or []]
    kept = [("the database", anchor) for anchor in _anchors_of_database(settings)]
    if not folder.is_dir() and not noted and not kept:
        out.print(f"no audit trail in {folder} yet")
        return
    # a folder that is gone is a trail that ends before its first record: anchors tell
    found = verify_trail(folder, anchors=[*noted, *kept], is_beginning_archived=archived)
    for note in found.notes:
        err.print(Text(note), soft_wrap=True)
    if found.faults:
        raise SetupFault(
            "the audit trail is not as it was written",
            [
                Problem(
                    code="audit-trail",
                    tag=str(folder),
                    found=fault,
                    expected="an unbroken chain",
                    remedy="keep the files as they are and tell the security officer; "
                    "compare with the syslog repository",
                )
                for fault in found.faults
            ],
        )
    out.print(
        Text(f"{found.records} records in {found.files} files, unbroken", style="green"),
        f"anchor: {found.head.number}:{found.head.sha256}",
        sep="\n",
        soft_wrap=True,
    )


@app.command("show")
def show(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest last.")] = 50,
    event: Annotated[
        str, typer.Option(metavar="CODE", help="Only events of this DCM code, such as 110113.")
    ] = "",
    study: Annotated[
        str, typer.Option(metavar="UID", help="Only events about this Study Instance UID.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the records, one in a line.")
    ] = False,
) -> None:
    """Show the latest records of the audit trail; that somebody looked is recorded too."""
    settings = invocation_of(ctx).settings
    folder = settings.node.data_dir / FOLDER
    latest = deque(select_records(folder, event=event, study=study), maxlen=limit)
    if as_json:
        for record, _ in latest:
            typer.echo(json.dumps(record, ensure_ascii=False))
    elif not latest:
        out.print("no such records" if event or study else "no records")
    else:
        rows = table("record", "at", "event", "outcome", "who", "about")
        for each in latest:
            shown = show_record(*each)
            style = "" if shown.outcome == "success" else "red"
            rows.add_row(
                *(str(shown.number), shown.at[:19], Text(shown.event)),
                *(Text(shown.outcome, style=style), Text(shown.who), Text(shown.about)),
            )
        out.print(rows)
    _tell_that_it_was_read(settings, folder)


def _anchor(text: str) -> Head:
    match = ANCHOR.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not NUMBER:SHA256")
    return Head(number=int(match[1]), sha256=match[2])


def _anchors_of_database(settings: Settings) -> list[Head]:
    from node.bootstrap.parts import Parts
    from node.storage.anchors import list_anchors

    node = settings.node
    if not node.database_url and not any(node.data_dir.glob("*.db")):
        return []
    return [Head(number=n, sha256=s) for n, s in list_anchors(Parts(settings=settings).engine)]


def _tell_that_it_was_read(settings: Settings, folder: Path) -> None:
    from node.bootstrap.auditing import name_of_user, open_trail
    from node.bootstrap.parts import Parts
    from node.telemetry.audit.events import audit_log_used

    if folder.is_dir():
        trail = open_trail(Parts(settings=settings), "cli")
        trail.record(audit_log_used(trail.node, by=name_of_user(), trail=folder.as_uri()))
