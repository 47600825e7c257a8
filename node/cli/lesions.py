"""How the lesions of a result look on a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from node.cli.screen import table

STYLES = {
    "Malignant": "bold red",
    "Benign": "green",
    "Indeterminate": "yellow",
    "Not assessed": "dim",
}


def lesion_table(result: Mapping[str, Any]) -> Table:
    """Return a table of the lesions in a result, as ``result.json`` has them."""
    rows = table("lesion", "volume", "long axis", "short axis", "type", "malignant", "assessment")
    for lesion in result["lesions"]:
        probability = lesion["malignancy_probability"]
        kind = lesion["predicted_type"]
        share = lesion["type_probabilities"].get(kind, 0.0)
        assessment = Text(lesion["assessment"], style=STYLES[lesion["assessment"]])
        if lesion["reason"]:
            assessment.append(f"\n{lesion['reason']}", style="dim")
        rows.add_row(
            str(lesion["number"]),
            f"{lesion['volume_ml']:.2f} ml",
            f"{lesion['long_axis_mm']:.1f} mm",
            f"{lesion['short_axis_mm']:.1f} mm",
            f"{kind} {share:.0%}" if kind else "-",
            "-" if probability is None else f"{probability:.0%}",
            assessment,
        )
    return rows
