"""``onconode serve``."""

import typer

from node.cli.invocation import invocation_of


def serve(ctx: typer.Context) -> None:
    """Run the node until it is stopped (Ctrl-C or SIGTERM).

    Starts the listener, the dispatcher and Dask, and starts again whichever of them dies. What
    was answered with success survives power loss; unfinished studies go on after a restart.

    Log lines go to standard error (JSON; see [bold]log[/bold] in node.yaml).
    """
    from node.bootstrap.serving import serve as run_node

    invocation = invocation_of(ctx)
    raise typer.Exit(run_node(invocation.settings, invocation.config_dir))
