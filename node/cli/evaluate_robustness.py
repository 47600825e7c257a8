"""``onconode evaluate robustness``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.invocation import invocation_of
from node.cli.screen import out, table


def evaluate_robustness(
    ctx: typer.Context,
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", exists=True, file_okay=False, help="Folder of the data set."
        ),
    ],
    folder: Annotated[
        Path,
        typer.Option(
            "--out", metavar="DIR", file_okay=False, help="robustness.csv and plots go here."
        ),
    ],
    bundle: Annotated[
        str, typer.Option("--bundle", metavar="NAME", help="Model bundle, task or task/version.")
    ] = "brain-t1ce",
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="PATH",
            exists=True,
            help="Another network beside it: a .keras file or the folder of a training run, "
            "e.g. of the plain U-Net.",
        ),
    ] = None,
    negatives: Annotated[
        Path | None,
        typer.Option(
            "--negatives",
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Folder of the set of tumour-free slices: how far the model keeps quiet on them.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="At most N cases of each set, evenly drawn."),
    ] = None,
) -> None:
    """Measure how the outlines of a bundle fare as its test images get worse.

    Noise, blur, coarse pixels, thick slices: step by step, on the test patients of the bundle's
    split, for the bundle and another network side by side.
    """
    from node.evaluation.robustness import write_points
    from node.registry.store import ModelStore
    from node.training.judge_report import draw_robustness
    from node.training.judge_robustness import judge_robustness

    found = ModelStore(invocation_of(ctx).settings.node.models_dir).get(bundle)
    points = judge_robustness(
        found, data_dir=data, negatives_dir=negatives, against=against, limit=limit
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_points(folder / "robustness.csv", points)
    for group, picture in zip(
        dict.fromkeys(point.group for point in points), draw_robustness(points), strict=True
    ):
        (folder / f"robustness-{group}.png").write_bytes(picture.png)
    rows = table("images", "worse by", "level", "model", "Dice or quiet", "95 % interval", "p")
    for p in points:
        value, interval = f"{p.dice:.3f}", f"{p.low:.3f} to {p.high:.3f}"
        test = "" if p.p_value == 1 else f"{p.p_value:.2g}"
        cells = (p.group, p.degradation, f"{p.level:g}", p.model, value, interval, test)
        rows.add_row(*(Text(cell) for cell in cells))
    out.print(rows)
    out.print(Text(f"table and plots: {folder}"))
