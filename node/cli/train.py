"""``onconode train``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.screen import out

app = typer.Typer(no_args_is_help=True, help="Train the network and the classifier of a bundle.")

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
Negatives = Annotated[
    Path | None,
    typer.Option(
        "--negatives",
        metavar="DIR",
        exists=True,
        file_okay=False,
        help="Folder of the set of tumour-free slices, if the recipe asks for one.",
    ),
]
Run = Annotated[
    Path,
    typer.Option(
        "--run",
        metavar="DIR",
        file_okay=False,
        help="Folder of this run: weights, figures, and what the classifier starts from.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="At most so many cases of each part, for a quick trial."),
]


@app.command()
def segmenter(
    *,
    recipe: Recipe,
    data: Data,
    run: Run,
    negatives: Negatives = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")
    ] = False,
    limit: Limit = None,
) -> None:
    """Train the U-Net on the training patients of the recipe's split."""
    from node.training.segmenter import train_segmenter

    best = train_segmenter(
        recipe, data_dir=data, negatives_dir=negatives, run_dir=run, resume=resume, limit=limit
    )
    out.print(Text(f"best network: {best}"))


Models = Annotated[
    Path,
    typer.Option(
        "--models", metavar="DIR", file_okay=False, help="The bundle goes below this folder."
    ),
]
Every = Annotated[
    int, typer.Option(metavar="N", min=1, help="Every N-th case only, for a quick trial.")
]


@app.command()
def classifier(
    *,
    recipe: Recipe,
    data: Data,
    run: Run,
    negatives: Negatives = None,
    models: Models = Path("models"),
    every: Every = 1,
) -> None:
    """Select features by genetic search, fit the SVM, package and measure the bundle.

    Needs a finished run of [bold]train segmenter[/bold]: features are taken from the predicted
    lesions, not from the labelled ones. A recipe without classifier gives a bundle that outlines
    lesions only.
    """
    from node.training.classifier import train_classifier

    bundle = train_classifier(
        recipe,
        data_dir=data,
        negatives_dir=negatives,
        run_dir=run,
        models_dir=models,
        every=every,
    )
    out.print(Text(f"bundle: {bundle.path}"))


@app.command()
def ablation(
    *,
    recipe: Recipe,
    data: Data,
    run: Run,
    negatives: Negatives = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="NAME", help="This variant alone; may be repeated."),
    ] = None,
    limit: Limit = None,
) -> None:
    """Train the network part by part, beside the plain U-Net, and compare on test patients.

    What an interrupted call has finished is kept. Writes ablation.json and ablation.md.
    """
    from node.training.ablation import train_ablation

    train_ablation(
        recipe,
        data_dir=data,
        negatives_dir=negatives,
        run_dir=run,
        only=only or (),
        limit=limit,
    )
    out.print(Text((run / "ablation.md").read_text("utf-8")))


@app.command()
def losses(
    *,
    recipe: Recipe,
    data: Data,
    run: Run,
    negatives: Negatives = None,
    limit: Limit = None,
) -> None:
    """Train the network with each candidate loss of the recipe; judge on validation patients.

    What an interrupted call has finished is kept. Writes losses.json and losses.md.
    """
    from node.training.choose_loss import compare_losses

    compare_losses(recipe, data_dir=data, negatives_dir=negatives, run_dir=run, limit=limit)
    out.print(Text((run / "losses.md").read_text("utf-8")))


@app.command()
def crossvalidate(
    *,
    recipe: Recipe,
    data: Data,
    run: Run,
    negatives: Negatives = None,
    folds: Annotated[int, typer.Option(min=3, help="Number of folds.")] = 5,
    short: Annotated[
        bool, typer.Option("--short", help="Train for the recipe's ablation phases only.")
    ] = False,
    limit: Limit = None,
) -> None:
    """Judge the segmenter in cross-validation by patient; test patients take no part.

    What an interrupted call has finished is kept. Writes crossvalidation.json and
    crossvalidation.md.
    """
    from node.training.crossvalidate import cross_validate_segmenter

    cross_validate_segmenter(
        recipe,
        data_dir=data,
        negatives_dir=negatives,
        run_dir=run,
        folds=folds,
        short=short,
        limit=limit,
    )
    out.print(Text((run / "crossvalidation.md").read_text("utf-8")))
