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
        list[Path] | None,
        typer.Option(
            "--against",
            metavar="PATH",
            exists=True,
            help="Another network beside it: a .keras file or the folder of a training run, "
            "e.g. of the plain U-Net; may be repeated.",
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
    split, for the bundle and other networks side by side. Printed are the mean Dice over patients
    (of tumour-free images the share without a mark), its 95 % interval, and p of the difference.
    """
    from node.evaluation.robustness import RobustnessPoint, write_points
    from node.registry.store import ModelStore
    from node.training.judge_report import draw_robustness
    from node.training.judge_robustness import judge_robustness

    found = ModelStore(invocation_of(ctx).settings.node.models_dir).get(bundle)
    points = judge_robustness(
        found, data_dir=data, negatives_dir=negatives, against=against or (), limit=limit
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_points(folder / "robustness.csv", points)
    for group, picture in zip(
        dict.fromkeys(point.group for point in points), draw_robustness(points), strict=True
    ):
        (folder / f"robustness-{group}.png").write_bytes(picture.png)
    models = list(dict.fromkeys(point.model for point in points))
    rows = table("images", "worse by", "level", *models, *["p"][: len(models) - 1])
    steps: dict[tuple[str, str, float], list[RobustnessPoint]] = {}
    for point in points:
        steps.setdefault((point.group, point.degradation, point.level), []).append(point)
    for (group, degradation, level), line in steps.items():
        values = [f"{p.dice:.3f} ({p.low:.2f} to {p.high:.2f})" for p in line]
        tests = [f"{p.p_value:.2g}" for p in line[1:]]
        rows.add_row(*(Text(cell) for cell in (group, degradation, f"{level:g}", *values, *tests)))
    out.print(rows)
    out.print(Text(f"table and plots: {folder}"))
