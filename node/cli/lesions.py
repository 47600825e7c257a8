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
}
NOT_ASSESSED = "Not assessed"


def lesion_table(result: Mapping[str, Any]) -> Table:
    """Return a table of the lesions in a result, as ``result.json`` has them.

    Columns that no lesion has a word for are left out: a bundle may have no classifier, or tell
    no tumour type.
    """
    lesions = result["lesions"]
    is_assessed = any(lesion["assessment"] != NOT_ASSESSED for lesion in lesions)
    has_types = any(lesion["predicted_type"] for lesion in lesions)
    rows = table(
        *("no.", "volume", "long axis", "short axis"),
        *(("type",) if has_types else ()),
        *(("malignant", "assessment") if is_assessed else ()),
    )
    for lesion in lesions:
        rows.add_row(
            str(lesion["number"]),
            f"{lesion['volume_ml']:.2f} ml",
            f"{lesion['long_axis_mm']:.1f} mm",
            f"{lesion['short_axis_mm']:.1f} mm",
            *((_type(lesion),) if has_types else ()),
            *(_assessment(lesion) if is_assessed else ()),
        )
    rows.caption_justify = "left"
    if is_assessed:
        reasons = [(lesion["number"], lesion["reason"]) for lesion in lesions if lesion["reason"]]
        rows.caption = "\n".join(f"lesion {number}: {reason}" for number, reason in reasons)
    elif lesions:
        rows.caption = f"{NOT_ASSESSED.lower()}: {lesions[0]['reason']}"
    return rows


def _type(lesion: Mapping[str, Any]) -> str:
    kind = lesion["predicted_type"]
    return f"{kind} {lesion['type_probabilities'].get(kind, 0.0):.0%}" if kind else "-"


def _assessment(lesion: Mapping[str, Any]) -> tuple[str, Text]:
    probability = lesion["malignancy_probability"]
    assessment = Text(lesion["assessment"], style=STYLES[lesion["assessment"]])
    return "-" if probability is None else f"{probability:.0%}", assessment
