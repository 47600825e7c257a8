"""Figures in words: as tiles and tables of a report."""

from collections.abc import Mapping
from typing import Any

from node.evaluation.html_report import Table, Tile

Figure = Mapping[str, Any]

MISSING = "not measured"


def value_of(
    figure: Figure, key: str = "value", *, interval: bool = False, suffix: str = ""
) -> str:
    """Return ``"0.83"``, or with its interval ``"0.83 (0.78 to 0.87)"``."""
    value = figure.get(key)
    if value is None:
        return MISSING
    text = _number(value) + suffix
    low, high = figure["interval_95"]
    if interval and low is not None:
        text += f" ({_number(low)} to {_number(high)})"
    return text


def prefer_closed_form(figure: Figure) -> Figure:
    """Return the figure with DeLong's or Wilson's interval where it has one."""
    return {
        **figure,
        "interval_95": figure.get("delong_95") or figure.get("wilson_95") or figure["interval_95"],
    }


def percent(figure: Figure) -> str:
    """Return ``"88 % (81 to 93 %)"``."""
    if figure["value"] is None:
        return MISSING
    low, high = figure["interval_95"]
    text = f"{100 * figure['value']:.0f} %"
    return text if low is None else f"{text} ({100 * low:.0f} to {100 * high:.0f} %)"


def describe_size(figure: Figure, unit: str) -> str:
    """Return ``"40 patients (607 slices)"``."""
    cases = figure.get(unit, figure.get("cases"))
    return f"{figure['patients']} patients" + (f" ({cases} {unit})" if cases else "")


def tile_of(figure: Figure, label: str, words: str, *, as_percent: bool = False) -> Tile:
    """Return a headline figure with its interval."""
    if figure["value"] is None:
        return Tile(value=MISSING, label=label, words=words)
    low, high = figure["interval_95"]
    if as_percent:
        value, ends = f"{100 * figure['value']:.0f} %", f"{100 * low:.0f} to {100 * high:.0f} %"
    else:
        value, ends = _number(figure["value"]), f"{_number(low)} to {_number(high)}"
    return Tile(value=value, label=label, interval=f"95 % interval {ends}", words=words)


def table_of(rows: Mapping[str, tuple[Figure, str]], *, first: str, median: bool = False) -> Table:
    """Return a table of figures: name -> (figure, unit after the value)."""
    columns = [first, "value", "95 % interval", "patients"]
    if median:
        columns.insert(2, "median")
    lines = []
    for name, (figure, suffix) in rows.items():
        low, high = figure["interval_95"]
        line = [
            name,
            value_of(figure, suffix=suffix),
            MISSING if low is None else f"{_number(low)} to {_number(high)}",
            str(figure["patients"]),
        ]
        if median:
            line.insert(2, value_of(figure, "median", suffix=suffix))
        lines.append(line)
    return Table(columns=columns, rows=lines)


def _number(value: float) -> str:
    """Two decimals below 10, one below 100, none above."""
    size = abs(value)
    return f"{value:.2f}" if size < 10 else f"{value:.1f}" if size < 100 else f"{value:.0f}"
