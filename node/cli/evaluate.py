"""``onconode evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.invocation import invocation_of


def evaluate(
    ctx: typer.Context,
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", exists=True, file_okay=False, help="Folder of the data set."
        ),
    ],
    bundle: Annotated[
        str, typer.Option("--bundle", metavar="NAME", help="Model bundle, task or task/version.")
    ] = "brain-t1ce",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", file_okay=False, help="Write figures and plots here."),
    ] = None,
) -> None:
    """Measure a bundle on the test patients of its split, as its model card reports it."""
    from node import evaluation

    evaluation.evaluate_bundle(bundle, data, out, invocation_of(ctx).settings)
