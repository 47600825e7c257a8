"""``onconode train samples``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.screen import out as screen
from node.cli.train import Data, Recipe


def samples(
    *,
    recipe: Recipe,
    data: Data,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.png", dir_okay=False, help="Picture to write.")
    ],
    cases: Annotated[int, typer.Option(min=1, max=20, help="Cases, one in each row.")] = 4,
    count: Annotated[int, typer.Option(min=1, max=20, help="Samples of each case.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other samples.")] = 0,
) -> None:
    """Draw augmented samples with the outlines of their masks, beside the slices they come from.

    Samples are drawn as in training, from training patients, on the grid of the recipe's last
    phase.
    """
    from node.training.samples import draw_samples

    path = draw_samples(recipe, data_dir=data, out=out, cases=cases, count=count, seed=seed)
    screen.print(Text(f"picture: {path}"))
