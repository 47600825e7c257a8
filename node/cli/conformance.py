"""``onconode conformance``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import err


def conformance(
    ctx: typer.Context,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Write it there, and not to the screen."),
    ] = None,
) -> None:
    """Write the DICOM conformance statement of this node (Markdown, after PS3.2 annex N).

    SOP classes, transfer syntaxes, roles and statuses come from the tables that the node works by;
    AE title, ports and time-outs from its configuration.
    """
    settings = invocation_of(ctx).settings
    from node.bootstrap.conformance.statement import write_statement

    text = write_statement(settings.node)
    if out is None:
        typer.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    err.print(Text(f"{out}: written"))
