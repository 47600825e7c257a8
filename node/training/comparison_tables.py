"""The table of control groups as CSV, Markdown and JSON."""

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from node.evaluation.probability_figures import FIGURES
from node.training.compare_classifiers import ComparedRow, Comparison, Figure

HEADER = (
    "classifier",
    "AUC",
    "accuracy",
    "sensitivity",
    "specificity",
    "Brier score",
    "AUC of the genetic search less this",
    "inner fitness",
    "features",
    "evaluations",
    "seconds",
)


def write_comparison(comparison: Comparison, directory: Path) -> list[Path]:
    """Write ``controls-<target>.csv``, ``.md`` and ``.json``."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = directory / f"controls-{comparison.target}"
    paths = [stem.with_suffix(suffix) for suffix in (".csv", ".md", ".json")]
    paths[0].write_text(_as_csv(comparison), "utf-8")
    paths[1].write_text(format_markdown(comparison), "utf-8")
    paths[2].write_text(json.dumps(_finite(asdict(comparison)), indent=1) + "\n", "utf-8")
    return paths


def format_markdown(comparison: Comparison) -> str:
    """Return the table with a note of how it was made."""
    lines = []
    for group in dict.fromkeys(row.group for row in comparison.rows):
        rows = [row for row in comparison.rows if row.group == group]
        size = f"{rows[0].patients} patients, {rows[0].lesions} lesions"
        lines += [
            f"Target: {comparison.target}; patients: {group} ({size}).",
            "",
            f"| {' | '.join(HEADER)} |",
            "|---" * len(HEADER) + "|",
            *(_format_row(row) for row in rows),
            "",
        ]
    lines += [f"- {name}: left out, {reason}." for name, reason in comparison.left_out.items()]
    told = ", ".join(f"{name} {value}" for name, value in comparison.settings.items())
    note = (
        "Nested cross-validation by patient; 95 % intervals by bootstrap over patients. The inner "
        "fitness is the mean AUC by which a search has chosen, less its charge for features. "
        f"Settings: {told}."
    )
    lines += ["", note]
    return "\n".join(lines) + "\n"


def _format_row(row: ComparedRow) -> str:
    cells = [row.name, *(format_figure(row.figures[name]) for name in FIGURES)]
    cells.append("" if row.auc_gain is None else format_figure(row.auc_gain, sign="+"))
    cells.append("" if np.isnan(row.fitness) else f"{row.fitness:.3f}")
    cells += [f"{row.features:.0f}", str(row.evaluations), f"{row.seconds:.0f}"]
    return "| " + " | ".join(cells) + " |"


def format_figure(figure: Figure, sign: str = "") -> str:
    """Return e.g. ``0.951 (0.921 to 0.973)``."""
    low, high = figure.interval_95
    return f"{figure.value:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"


def _as_csv(comparison: Comparison) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = [*FIGURES, "auc_gain"]
    bounds = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    first = ["classifier", "target", "group", "patients", "lesions"]
    last = ["inner_fitness", "features", "evaluations", "seconds"]
    writer.writerow([*first, *bounds, *last])
    for row in comparison.rows:
        figures = [*(row.figures[name] for name in FIGURES), row.auc_gain]
        cells: list[object] = [row.name, comparison.target, row.group, row.patients, row.lesions]
        for figure in figures:
            cells += (
                ["", "", ""]
                if figure is None
                else [f"{value:.6f}" for value in (figure.value, *figure.interval_95)]
            )
        cells += ["" if np.isnan(row.fitness) else f"{row.fitness:.6f}"]
        cells += [f"{row.features:.1f}", row.evaluations, f"{row.seconds:.1f}"]
        writer.writerow(cells)
    return stream.getvalue()


def _finite(content: object) -> object:
    """Replace NaN, which JSON does not know, by null."""
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content
