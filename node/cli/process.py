"""``onconode process``."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from node.cli import screen
from node.cli.exit_codes import ExitCode
from node.cli.invocation import invocation_of
from node.cli.lesions import lesion_table
from node.domain.errors import Problem
from node.language import LANGUAGES, Language


def process(
    ctx: typer.Context,
    *,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            file_okay=False,
            readable=True,
            help="Folder with the DICOM files of one or more studies, at any depth.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="OUT",
            file_okay=False,
            writable=True,
            help="Where to write *_seg.dcm, *_sr.dcm, *_overlay.png and result.json.",
        ),
    ],
    bundle: Annotated[
        str | None,
        typer.Option(
            "--bundle",
            metavar="NAME",
            help="Model bundle to use for every series, instead of what routing.yaml says; "
            "a series of a single slice will do then.",
        ),
    ] = None,
    seed: Annotated[
        list[str] | None,
        typer.Option(
            "--seed",
            metavar="X,Y,Z",
            help="Point in a nodule, in millimetres of the patient's coordinate system (LPS), for "
            "bundles that refine what somebody points at; may be repeated. Seeds take the place of "
            "the study's SEG, RTSTRUCT and SR.",
        ),
    ] = None,
    seed_voxel: Annotated[
        list[str] | None,
        typer.Option(
            "--seed-voxel",
            metavar="COLUMN,ROW,SLICE",
            help="The same as a voxel, each number from 0; slices count along the normal (row "
            "direction x column direction; axial: from the feet up), whatever their numbers are.",
        ),
    ] = None,
    prior: Annotated[
        list[Path] | None,
        typer.Option(
            "--prior",
            metavar="DIR_OR_SR",
            exists=True,
            readable=True,
            help="Folder with an earlier examination of the patient: its images, and SR and SEG "
            "that a node like this made of them; or that SR. The result is compared with the "
            "latest earlier one. May be repeated, where images and results lie apart.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Write *_explain.png, too: the lesions among those that the classifier was "
            "trained on, by PCA and t-SNE.",
        ),
    ] = False,
    messages: Annotated[
        bool,
        typer.Option(
            "--messages",
            help="Write *_oru.hl7 (HL7 v2) and *_fhir.json (FHIR R4), too.",
        ),
    ] = False,
    pdf: Annotated[
        list[str] | None,
        typer.Option(
            "--pdf",
            metavar="LANGUAGE",
            help="Write *_report.pdf and *_pdf.dcm, too, in English (en) or Chinese (zh); may be "
            "repeated.",
        ),
    ] = None,
) -> None:
    """Analyse a folder of DICOM files, without a network.

    The same steps as in the running node. A bundle of several sequences finds the series of each
    role in the study. Ends with code 3 and every reason when nothing in the
    folder can be processed.
    """
    from node.bootstrap.offline import process_folder  # deferred: it loads much
    from node.bootstrap.pointing import Seeds

    seeds = Seeds(
        points_lps_mm=_triples(seed, "--seed"), voxels=_triples(seed_voxel, "--seed-voxel")
    )
    results = process_folder(
        directory,
        out,
        bundle,
        invocation_of(ctx).settings,
        seeds,
        priors=prior or (),
        explain=explain,
        messages=messages,
        papers=_languages(pdf),
    )
    for result in results:
        print_result(result)
    screen.out.print(Text(f"results: {out}", style="dim"), soft_wrap=True)
    if all(result["status"] == "refused" for result in results):
        raise typer.Exit(ExitCode.INPUT_REJECTED)


def _languages(texts: list[str] | None) -> list[Language]:
    """Check the languages of PDF reports."""
    unknown = sorted(set(texts or ()) - set(LANGUAGES))
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is none of {', '.join(LANGUAGES)}", param_hint="--pdf"
        )
    return [each for each in LANGUAGES if each in (texts or ())]


def _triples(texts: list[str] | None, option: str) -> tuple[tuple[float, float, float], ...]:
    """Read comma-separated numbers, three each."""
    triples = []
    for text in texts or ():
        try:
            x, y, z = (float(part) for part in text.split(","))
        except ValueError:
            x = y = z = math.nan
        if not all(map(math.isfinite, (x, y, z))):
            raise typer.BadParameter(
                f"{text!r} is not three numbers with commas", param_hint=option
            )
        triples.append((x, y, z))
    return tuple(triples)


def print_result(result: Mapping[str, Any]) -> None:
    """Print the lesions of one study, or every reason why it was refused."""
    screen.out.print(Text(f"study {result['study_instance_uid']}", style="bold"), soft_wrap=True)
    if result["status"] == "refused":
        screen.err.print(Text("refused", style="bold red"))
        screen.print_problems([Problem(**problem) for problem in result["problems"]])
        return
    if result["lesions"]:
        screen.out.print(lesion_table(result))
    else:
        screen.out.print("no lesion found")
    for warning in result["warnings"]:
        screen.out.print(Text(f"note: {warning}", style="yellow"), soft_wrap=True)
