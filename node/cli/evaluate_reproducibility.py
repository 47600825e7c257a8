"""``onconode evaluate reproducibility``."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from node.cli.screen import out, table


class DataSet(StrEnum):
    """Data sets that have an adapter."""

    CHENG = "cheng"
    LIDC = "lidc"
    LGG = "lgg"


def reproducibility(
    *,
    data: Annotated[
        Path,
        typer.Option(
            "--data", metavar="DIR", exists=True, file_okay=False, help="Folder of the data set."
        ),
    ],
    dataset: Annotated[DataSet, typer.Option("--dataset", help="Which data set it is.")],
    folder: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", file_okay=False, help="Tables and plot go here."),
    ],
    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar="NAME",
            help="Feature profile; without it that of the recipe, else planar-102 for cheng and "
            "standard-237 for the others.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Take the features as this recipe does, and leave out its test patients: for a "
            "list that a classifier drops fragile features by.",
        ),
    ] = None,
    cases: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, help="Patients, drawn at random; without it all."),
    ] = None,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=2, help="Perturbed versions of each case.")
    ] = 8,
    seed: Annotated[int, typer.Option(metavar="N", help="Of all that is drawn.")] = 1,
    jobs: Annotated[int, typer.Option(metavar="N", min=1, help="Processes.")] = 1,
) -> None:
    """Perturb image and contour of labelled lesions, and tell which features stay the same.

    Noise, rotation, shift, growth or shrinkage, and another contour, all at once, as in Zwanenburg
    et al. 2019; then ICC(1,1) of every feature with its 95 % interval. Of each patient the largest
    lesion counts.
    """
    from node.radiomics.profiles import PROFILES
    from node.training.reproducibility import SOURCES, extraction_of, measure_dataset

    if profile is not None and profile not in PROFILES:
        raise typer.BadParameter(f"one of {', '.join(PROFILES)}", param_hint="--profile")
    source = SOURCES[dataset]
    labelled = source.read(data)
    extraction = source.extraction
    if recipe is not None:
        from node.training.recipe import load_recipe
        from node.training.segmenter import split_cases

        settings = load_recipe(recipe)
        if settings.dataset != dataset:
            raise typer.BadParameter(f"is for {settings.dataset}", param_hint="--recipe")
        extraction = extraction_of(settings, extraction)
        parts = split_cases(labelled, settings)
        labelled = [case for case in labelled if parts[case.patient] != "test"]
    if profile is not None:
        extraction = replace(extraction, profile=PROFILES[profile])
    summary = measure_dataset(
        labelled,
        folder,
        dataset=dataset.value,
        role=source.role,
        extraction=extraction,
        limit=cases,
        repeats=repeats,
        seed=seed,
        jobs=jobs,
    )
    _print(summary, folder)


def _print(summary: dict[str, Any], folder: Path) -> None:
    grid = table("class", "features", "undefined", "ICC ≥ 0.75", "ICC ≥ 0.90", "lower ≥ 0.75")
    rows = {"all": summary["all"]}
    rows |= {f"{name}": found for name, found in summary["feature_classes"].items()}
    rows |= {f"on {name}": found for name, found in summary["filter_classes"].items()}
    for name, found in rows.items():
        shares = (found[key] for key in ("icc_0.75", "icc_0.90", "lower_bound_0.75"))
        cells = ["" if share is None else f"{share:.1%}" for share in shares]
        grid.add_row(name, str(found["features"]), str(found["undefined"]), *cells)
    out.print(grid)
    out.print(
        Text(
            f"{summary['cases']} cases, {summary['repeats']} versions each; redrawn contours agree "
            f"with the given ones by a Dice of {summary['mean_contour_dice']:.2f}; "
            f"{summary['seconds_per_case']:.1f} s a case. Tables and plot: {folder}"
        )
    )
