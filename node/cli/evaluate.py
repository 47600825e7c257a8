"""``onconode evaluate``."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from node.cli.evaluate_controls import evaluate_controls
from node.cli.invocation import invocation_of
from node.cli.screen import facts, out

#: Without a subcommand a bundle is measured; subcommands stand in ``evaluate_<name>.py``.
app = typer.Typer()


@app.callback(invoke_without_command=True)
def evaluate(
    *,
    ctx: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Folder of the data set; needed unless a command follows.",
        ),
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(
            "--negatives",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Folder of the set of tumour-free slices, if the bundle's recipe asks for one.",
        ),
    ] = None,
    bundle: Annotated[
        str, typer.Option("--bundle", metavar="NAME", help="Model bundle, task or task/version.")
    ] = "brain-t1ce",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", dir_okay=False, help="Write the figures here too."),
    ] = None,
) -> None:
    """Measure a bundle on the test patients of its split, as its model card reports it."""
    if ctx.invoked_subcommand is not None:
        return
    if data is None:
        raise typer.BadParameter("give the folder of the data set", param_hint="--data")
    from node.registry.store import ModelStore
    from node.training.classifier import evaluate_bundle

    store = ModelStore(invocation_of(ctx).settings.node.models_dir)
    found = store.get(bundle)
    figures = evaluate_bundle(found, data_dir=data, negatives_dir=negatives)
    out.print(facts(flatten(figures)))
    out.print(Text(_compare(figures, json.loads((found.path / "metrics.json").read_text("utf-8")))))
    if json_file is not None:
        json_file.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


app.command("controls")(evaluate_controls)


def _compare(measured: Mapping[str, Any], shipped: Mapping[str, Any]) -> str:
    """Say whether the figures are those that the bundle came with."""
    expected = dict(flatten(shipped))
    others = [name for name, value in flatten(measured) if expected.get(name) != value]
    if not others:
        return "All figures equal those in the bundle's metrics.json."
    return f"Other than in the bundle's metrics.json: {', '.join(others)}."


def flatten(figures: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``("dice.median", "0.812")`` for nested figures."""
    for name, value in figures.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, Mapping):
            yield from flatten(value, path)
        else:
            yield path, f"{value:.4g}" if isinstance(value, float) else str(value)
