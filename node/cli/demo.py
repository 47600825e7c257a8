"""``onconode demo``."""

from typing import Annotated

import typer


def demo(
    keep: Annotated[
        bool,
        typer.Option(
            "--keep", help="Leave node and archive running, and say how to send them a study."
        ),
    ] = False,
) -> None:
    """Show the whole chain once: a real brain MR study in, SEG and SR back.

    Starts a node and an archive of its own in a temporary place, sends the study that comes with
    the project, waits for the results and prints lesions, Dice against the reference, the seconds
    of every stage, and where SEG, SR and overlay lie. Needs no configuration.
    """
    from node import bootstrap

    raise typer.Exit(bootstrap.run_demo(keep) or 0)
