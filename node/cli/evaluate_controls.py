"""``onconode evaluate controls``."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from node.cli.screen import out, table


class Target(StrEnum):
    """What is predicted."""

    MALIGNANT = "malignant"
    TYPE = "type"


def evaluate_controls(
    *,
    run: Annotated[
        Path,
        typer.Option(
            "--run",
            metavar="RUN",
            exists=True,
            file_okay=False,
            help="Run folder with the features.npz that `train classifier` made.",
        ),
    ],
    target: Annotated[Target, typer.Option(help="What is predicted.")] = Target.MALIGNANT,
    evaluations: Annotated[
        int,
        typer.Option(
            metavar="N", min=2, help="Candidates that each search may try, in each outer fold."
        ),
    ] = 200,
    outer: Annotated[int, typer.Option(metavar="N", min=2, help="Outer folds, which judge.")] = 5,
    seed: Annotated[int, typer.Option(help="Everything is reproduced from it.")] = 20150,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Take the classifier's settings from this recipe instead of the defaults.",
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            file_okay=False,
            help="CSV, Markdown and JSON go here; RUN/controls if not given.",
        ),
    ] = None,
) -> None:
    """Compare the genetic search with its control groups by nested cross-validation.

    Outer folds judge what inner folds have chosen, by patient; every search may try the same
    number of candidates.
    """
    from node.domain.errors import SetupFault
    from node.training.compare_classifiers import compare_classifiers
    from node.training.comparison_tables import format_figure, write_comparison
    from node.training.feature_table import FeatureTable
    from node.training.recipe import ClassifierRecipe, load_recipe

    features = run / "features.npz"
    if not features.is_file():
        raise SetupFault(f"no features.npz in {run}: run `onconode train classifier` first")
    settings = None if recipe is None else load_recipe(recipe).classifier
    comparison = compare_classifiers(
        FeatureTable.load(features),
        target.value,
        settings=settings or ClassifierRecipe(),
        evaluations=evaluations,
        outer_folds=outer,
        seed=seed,
        groups={"numeric ids": lambda patient: patient[:1].isdigit()},
    )
    shown = table("classifier", "patients", "AUC (95 % interval)", "Brier", "features", "seconds")
    for row in comparison.rows:
        shown.add_row(
            row.name,
            row.group,
            format_figure(row.figures["auc"]),
            f"{row.figures['brier'].value:.3f}",
            f"{row.features:.0f}",
            f"{row.seconds:.0f}",
        )
    out.print(shown)
    for name, reason in comparison.left_out.items():
        out.print(Text(f"{name}: left out, {reason}"))
    for path in write_comparison(comparison, to or run / "controls"):
        out.print(Text(f"written: {path}"))
