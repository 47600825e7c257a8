"""``onconode evaluate``."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from node.cli.evaluate_controls import evaluate_controls
from node.cli.evaluate_robustness import evaluate_robustness
from node.cli.invocation import invocation_of
from node.cli.screen import out, table

#: Without a subcommand a bundle is measured; subcommands stand in ``evaluate_<name>.py``.
app = typer.Typer()
app.command("controls")(evaluate_controls)
app.command("robustness")(evaluate_robustness)

#: Figures that exist many times over; ``--json`` and ``--html`` hold them.
NOT_PRINTED = ("subgroups",)


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
    html_file: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            dir_okay=False,
            help="Write a report with plots and pictures of failures, as one HTML page.",
        ),
    ] = None,
    robustness: Annotated[
        Path | None,
        typer.Option(
            "--robustness",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="robustness.csv of `evaluate robustness`, to be shown in the report.",
        ),
    ] = None,
    every: Annotated[
        int, typer.Option(metavar="N", min=1, help="Every N-th case only, for a quick trial.")
    ] = 1,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="At most N cases of each set, for a quick trial."),
    ] = None,
) -> None:
    """Measure a bundle on the test patients of its split, as its model card reports it."""
    if ctx.invoked_subcommand is not None:
        return
    if data is None:
        raise typer.BadParameter("give the folder of the data set", param_hint="--data")
    from node.evaluation.robustness import read_points
    from node.registry.store import ModelStore
    from node.training.judge_bundle import judge_test_set, read_test_set
    from node.training.judge_report import write_bundle_report

    found = ModelStore(invocation_of(ctx).settings.node.models_dir).get(bundle)
    points = read_points(robustness) if robustness else []
    test_set = read_test_set(
        found, data_dir=data, negatives_dir=negatives, every=every, limit=limit
    )
    judged = judge_test_set(found, test_set)
    partial = every > 1 or limit is not None
    _print_figures(judged.figures)
    if partial:
        out.print("A part of the test set: not compared with the bundle's metrics.json.")
    else:
        shipped = json.loads((found.path / "metrics.json").read_text("utf-8"))
        out.print(Text(compare_figures(judged.figures, shipped)))
    if json_file is not None:
        json_file.write_text(json.dumps(judged.figures, indent=2) + "\n", "utf-8")
    if html_file is not None:
        write_bundle_report(html_file, found, judged, partial=partial, robustness=points)
        out.print(Text(f"report: {html_file}"))


def _print_figures(figures: Mapping[str, Any]) -> None:
    """Print one line for each figure with an interval, and what else there is below."""
    rows = table("figure", "value", "95 % interval", "patients")
    for name, figure in _find_figures(figures):
        if figure["value"] is None:
            continue
        low, high = figure["interval_95"]
        interval = "" if low is None else f"{low:.4g} to {high:.4g}"
        value, patients = f"{figure['value']:.4g}", str(figure["patients"])
        rows.add_row(Text(name), Text(value), Text(interval), Text(patients))
    out.print(rows)


def _find_figures(
    figures: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in figures.items():
        if not isinstance(value, Mapping) or name in NOT_PRINTED:
            continue
        path = f"{above}.{name}" if above else name
        if "interval_95" in value:
            yield path, value
        yield from _find_figures(value, path)


def compare_figures(measured: Mapping[str, Any], shipped: Mapping[str, Any]) -> str:
    """Say whether the figures are those that the bundle came with, and which it came without."""
    expected = dict(flatten(shipped))
    found = dict(flatten(measured))
    others = [name for name, value in found.items() if expected.get(name, value) != value]
    gone = [name for name in expected if name not in found]
    new = dict.fromkeys(name.split(".")[0] for name in found if name not in expected)
    lines = [
        f"Other than in the bundle's metrics.json: {', '.join(others)}."
        if others
        else "All figures in the bundle's metrics.json are measured alike."
    ]
    if gone:
        lines = lines if others else []
        lines.append(f"In the bundle's metrics.json but not measured: {', '.join(gone)}.")
    if new:
        lines.append(f"Not in the bundle's metrics.json, or not all of it: {', '.join(new)}.")
    return "\n".join(lines)


def flatten(figures: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``("dice.median", "0.812")`` for nested figures."""
    for name, value in figures.items():
        path = f"{above}.{name}" if above else name
        if isinstance(value, Mapping):
            yield from flatten(value, path)
        else:
            yield path, f"{value:.4g}" if isinstance(value, float) else str(value)
