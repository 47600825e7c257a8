"""``onconode models``."""

from typing import Annotated

import typer
import yaml
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import err, facts, out, table
from node.registry.bundle import MANIFEST
from node.registry.manifest import read_manifest
from node.registry.store import ModelStore

app = typer.Typer(no_args_is_help=True, help="List model bundles, look into one, verify it.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="Bundle: task, or task/version.")]


@app.command("list")
def list_models(ctx: typer.Context) -> None:
    """List the bundles in models_dir; a task's newest version comes last and is the default."""
    store = ModelStore(invocation_of(ctx).settings.node.models_dir)
    rows = table("bundle", "title", "modality", "trained on")
    for name in store.list():
        manifest = read_manifest(store.root / name / MANIFEST)
        modality = ", ".join(manifest.accepts.modality)
        rows.add_row(Text(name), Text(manifest.title), Text(modality), Text(manifest.data))
    out.print(rows)


@app.command("show")
def show_model(ctx: typer.Context, name: Name) -> None:
    """Show what a bundle expects, what it was trained on, and its limits.

    Its files are checked first; code 5 when one was changed.
    """
    bundle = ModelStore(invocation_of(ctx).settings.node.models_dir).get(name)
    manifest = bundle.manifest.model_dump(mode="json", exclude={"files"})
    out.print(facts([("folder", str(bundle.path)), ("digest", bundle.digest)]))
    text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)
    out.print(Text(text), soft_wrap=True)
    card = bundle.path / "MODEL_CARD.md"
    if card.is_file():
        out.print(facts([("model card", str(card))]))


@app.command("verify")
def verify_model(ctx: typer.Context, name: Name) -> None:
    """Check the checksums of a bundle and run its golden input through it.

    Ends with code 5 when a file was changed or the output differs.
    """
    bundle = ModelStore(invocation_of(ctx).settings.node.models_dir).get(name)
    from node.pipeline import check_golden, open_toolbox

    with err.status("loading the bundle and running its golden input"):
        check_golden(open_toolbox(bundle))
    out.print(Text(f"{name}: files and golden output are as they should be", style="green"))
