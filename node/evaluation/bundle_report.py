"""The report of a bundle for a radiologist: what it is for, what it does, and where it fails."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.evaluation.case_results import CaseResults
from node.evaluation.figure_words import describe_size, prefer_closed_form, tile_of, value_of
from node.evaluation.html_report import Picture, Section, Table
from node.evaluation.report_sections import (
    describe_abstention,
    describe_assessment,
    describe_lesions,
    describe_outlines,
    describe_subgroups,
)

Figures = Mapping[str, Any]

SPLIT = (
    "The split is by patient: no patient stands in two parts. Test patients were used for the "
    "figures of this report and for nothing else."
)
WORSE = (
    "The same test images were made worse step by step; every model saw the same ones. The bands "
    "are 95 % intervals over patients. Where a curve stays level, the outlines hold on such "
    "images, too."
)
FAILURES = (
    "The worst cases of the test set, one for each patient, chosen by the overlap of the outlines "
    "and by nothing else. Look at them before you trust the means above."
)


@dataclass(frozen=True, kw_only=True)
class About:
    """What a reader must know of a bundle before any figure.

    Parameters
    ----------
    name, version, title : str
    purpose : sequence of str
        What it takes and what it gives, in sentences.
    data, licence, limitations : str
    partial : str
        Why the figures are not those of the whole test set; empty if they are.
    digest : str
        SHA-256 of the manifest.
    """

    name: str
    version: str
    title: str
    purpose: Sequence[str]
    data: str
    licence: str
    limitations: str
    partial: str = ""
    digest: str = ""

    @property
    def subtitle(self) -> str:
        """Name, version and manifest."""
        digest = f", manifest {self.digest[:12]}" if self.digest else ""
        return f"Bundle {self.name} {self.version}{digest}"


def build_sections(
    about: About,
    figures: Figures,
    results: CaseResults,
    *,
    robustness: Sequence[Picture] = (),
    failures: Sequence[Picture] = (),
) -> list[Section]:
    """Return the sections of the report; those that a bundle has no figures for are left out.

    Parameters
    ----------
    about : About
    figures : mapping
        Of ``measure_cases``; under "quiet" those of ``measure_tumour_free``, or None.
    results : CaseResults
    robustness : sequence of Picture
        Curves, if they were measured.
    failures : sequence of Picture
        Worst cases.
    """
    sections = [
        _summarise(about, figures),
        describe_outlines(figures, results),
        describe_lesions(figures, results),
    ]
    if "malignancy" in figures:
        sections += [describe_assessment(figures, results), describe_abstention(figures, results)]
    sections.append(describe_subgroups(figures))
    if robustness:
        worse = Section(heading="When images get worse", text=[WORSE], pictures=robustness)
        sections.append(worse)
    if failures:
        sections.append(Section(heading="Where it fails", text=[FAILURES], pictures=failures))
    return [*sections, _describe_limits(about, figures), _describe_data(about, figures)]


def _summarise(about: About, figures: Figures) -> Section:
    dice, quiet = figures["dice"], figures.get("quiet")
    tiles = [
        tile_of(
            dice,
            "Overlap of the outlines (Dice)",
            "1: the same outline as the reader's. 0: nothing in common; so counts a missed tumour.",
        ),
        tile_of(
            figures["detection"],
            "Largest mark is the tumour",
            "Share of cases in which the largest mark lies on the tumour.",
            as_percent=True,
        ),
    ]
    if quiet:
        tiles.append(
            tile_of(
                quiet,
                "Quiet without a tumour",
                "Share of tumour-free images that were left without any mark.",
                as_percent=True,
            )
        )
    if "malignancy_by_patient" in figures:
        auc = figures["malignancy_by_patient"]["auc"]
        tiles += [
            tile_of(
                prefer_closed_form(auc),
                "Malignant or benign (AUC)",
                "Chance that a malignant patient gets a higher probability than a benign one.",
            ),
            tile_of(
                figures["abstention"]["coverage"],
                "Gets an answer",
                "Share of marked cases called malignant or benign; the rest stay indeterminate.",
                as_percent=True,
            ),
            tile_of(
                figures["malignancy"]["accuracy_where_decided"],
                "Right where it answers",
                "Share of those answers that agree with the label.",
                as_percent=True,
            ),
        ]
    unit = "slices" if "slices" in figures else "volumes"
    measured = f"Measured on {describe_size(dice, unit)} that the model never saw in training."
    return Section(
        heading="In short",
        text=[*about.purpose, measured],
        warnings=[about.partial] if about.partial else [],
        tiles=tiles,
    )


def _describe_data(about: About, figures: Figures) -> Section:
    names = {"with_tumour": "with tumour", "tumour_free": "tumour-free"}
    given = figures.get("split_patients", {})
    split = {kind: counts for kind, counts in given.items() if any(counts.values())}
    parts = list(dict.fromkeys(part for counts in split.values() for part in counts))
    rows = [
        [names.get(kind, kind), *(str(counts.get(part, 0)) for part in parts)]
        for kind, counts in split.items()
    ]
    return Section(
        heading="Data and split",
        text=[about.data.rstrip(".") + ".", SPLIT],
        tables=[Table(columns=["patients", *parts], rows=rows)] if rows else [],
    )


def _describe_limits(about: About, figures: Figures) -> Section:
    few = (
        f"{figures['dice']['patients']} test patients from the same collection as the training: "
        "other scanners and hospitals may differ by more than the intervals say."
    )
    weakest = _name_weakest_type(figures)
    points = [about.limitations.rstrip(".") + ".", few, f"Licence of the weights: {about.licence}."]
    return Section(heading="Limits", points=[weakest, *points] if weakest else points)


def _name_weakest_type(figures: Figures) -> str:
    types = {
        name.removeprefix("type: "): group["dice"]
        for name, group in figures["subgroups"].items()
        if name.startswith("type: ")
    }
    if len(types) < 2:
        return ""
    name, dice = min(types.items(), key=lambda item: item[1]["value"])
    mean = value_of(dice, interval=True)
    return f"Weakest type: {name}, with a mean Dice of {mean} over {dice['patients']} patients."
