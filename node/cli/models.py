"""``onconode models``."""

from typing import Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import out, table

app = typer.Typer(no_args_is_help=True, help="List model bundles, look into one, verify it.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Bundle: task, or task/version.")]


@app.command("list")
def list_models(ctx: typer.Context) -> None:
    """List the bundles in models_dir."""
    from node.registry.store import ModelStore

    rows = table("bundle", "version", "title")
    for bundle in ModelStore(invocation_of(ctx).settings.node.models_dir).list():
        rows.add_row(Text(bundle.name), Text(bundle.version), Text(bundle.title))
    out.print(rows)


@app.command("show")
def show_model(ctx: typer.Context, name: Name) -> None:
    """Show what a bundle expects, what it was trained on, and its measured figures."""
    from node.registry.store import ModelStore

    bundle = ModelStore(invocation_of(ctx).settings.node.models_dir).get(name)
    out.print(Text((bundle.path / "bundle.yaml").read_text("utf-8")), soft_wrap=True)


@app.command("verify")
def verify_model(ctx: typer.Context, name: Name) -> None:
    """Check the checksums of a bundle and run its golden input through it.

    Ends with code 5 when a file was changed or the output differs.
    """
    from node.registry.store import ModelStore

    ModelStore(invocation_of(ctx).settings.node.models_dir).verify(name)
    out.print(Text(f"{name}: files and golden output are as they should be", style="green"))
