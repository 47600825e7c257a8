"""``onconode train``."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Train the networks and classifiers of a bundle.")

Recipe = Annotated[
    Path,
    typer.Argument(
        metavar="RECIPE",
        exists=True,
        dir_okay=False,
        help="recipe.yaml of the bundle, e.g. models/brain-t1ce/recipe.yaml.",
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        "--data", metavar="DIR", exists=True, file_okay=False, help="Folder of the data set."
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out", metavar="DIR", file_okay=False, help="Where the run's weights and figures go."
    ),
]


@app.command()
def segmenter(recipe: Recipe, data: Data, out: Out) -> None:
    """Train the U-Net of a bundle on the training patients of the recipe's split."""
    from node import training

    training.train_segmenter(recipe, data, out)


@app.command()
def classifier(recipe: Recipe, data: Data, out: Out) -> None:
    """Select features by genetic search and fit the SVM, on a segmenter's own predictions.

    OUT is the folder of the segmenter's run.
    """
    from node import training

    training.train_classifier(recipe, data, out)
