"""A report as one HTML file that needs nothing else: pictures inside, no scripts, fit for print."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

NOTICE = "Research use only. Not a medical device: not for diagnosis or treatment."


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A headline figure.

    Parameters
    ----------
    value : str
        As it is read: ``"0.83"``, ``"9 of 10"``.
    label : str
    interval : str
        Its uncertainty.
    words : str
        What it means, for somebody who does not know the figure.
    """

    value: str
    label: str
    interval: str = ""
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; the first column names the rows."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A PNG with its caption; ``alt`` (else the caption) is read aloud in its place."""

    png: bytes
    caption: str = ""
    alt: str = ""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a report, shown in the order of these fields; text is escaped."""

    heading: str
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    warnings: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    side_by_side: bool = False


def render_html_report(
    *,
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    notice: str = NOTICE,
    footer: Sequence[str] = (),
) -> str:
    """Return the report as HTML."""
    environment = Environment(
        loader=PackageLoader("node.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = _data_uri
    return environment.get_template("report.html.j2").render(
        title=title, subtitle=subtitle, notice=notice, sections=sections, footer=footer
    )


def write_html_report(
    path: Path,
    *,
    title: str,
    sections: Sequence[Section],
    subtitle: str = "",
    notice: str = NOTICE,
    footer: Sequence[str] = (),
) -> None:
    """Write the report to a file, in UTF-8; its folder must exist."""
    html = render_html_report(
        title=title, sections=sections, subtitle=subtitle, notice=notice, footer=footer
    )
    path.write_text(html, "utf-8")


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
