"""``onconode process``."""

from pathlib import Path
from typing import Annotated

import typer

from node.cli.invocation import invocation_of


def process(
    ctx: typer.Context,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            readable=True,
            help="Folder with the DICOM files of one or more studies, at any depth.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="OUT",
            file_okay=False,
            writable=True,
            help="Where to write *_seg.dcm, *_sr.dcm, *_overlay.png and result.json.",
        ),
    ],
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            metavar="NAME",
            help="Model bundle to use for every series, instead of what routing.yaml says.",
        ),
    ] = None,
) -> None:
    """Analyse a folder of DICOM files, without a network.

    The same steps as in the running node. Ends with code 3 and every reason when nothing in the
    folder can be processed.
    """
    from node import bootstrap

    settings = invocation_of(ctx).settings
    raise typer.Exit(bootstrap.process_folder(directory, out, bundle, settings) or 0)
