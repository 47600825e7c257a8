"""The tables of the report: the lesions, and what became of them since an earlier examination."""

from collections.abc import Sequence

from reportlab.lib.colors import Color, white
from reportlab.platypus import Flowable, Table

from node.domain.finding import BENIGN, MALIGNANT, Finding
from node.domain.prior import Comparison, LesionChange, LesionStatus
from node.domain.report import Report
from node.domain.segmentation import Lesion
from node.domain.triage import PRESENT
from node.language import Words
from node.report.palette import lesion_colour
from node.report.paper.text import (
    AMBER,
    BENIGN_INK,
    GROUND,
    INK,
    MALIGNANT_INK,
    QUIET,
    RULE,
    SMALL,
    TextBlock,
    table_style,
)
from node.report.phrases import tell_assessment, tell_type

_ASSESSMENT_INK = {MALIGNANT.value: MALIGNANT_INK, BENIGN.value: BENIGN_INK}
NONE = "–"
COMPARED = PRESENT | {LesionStatus.VANISHED}
"""Statuses of lesions that both examinations show the place of, and that were there before."""


def lesion_table(report: Report, lesions: Sequence[Lesion], words: Words) -> Flowable:
    """Make the table of lesions.

    Parameters
    ----------
    report : Report
    lesions : sequence of Lesion
        Those that have room.
    words : Words
    """
    findings = {finding.lesion_number: finding for finding in report.findings}
    head = [
        "",
        words.gettext("Volume (ml)"),
        words.gettext("Axes (mm)"),
        words.gettext("3D diameter (mm)"),
        words.gettext("Slice"),
        words.gettext("Network"),
        words.gettext("Assessment"),
        words.gettext("P(malignant)"),
        words.gettext("Type"),
    ]
    widths = (58, 50, 66, 60, 34, 46, 78, 58, 73)
    rows: list[list[Flowable | str]] = [_head_row(head)]
    styles: list[tuple[object, ...]] = []
    for lesion in lesions:
        finding = findings.get(lesion.number)
        rows.append(_lesion_row(lesion, finding, words))
        styles.append(("BACKGROUND", (0, len(rows) - 1), (0, len(rows) - 1), white))
        styles.append(_swatch(len(rows) - 1, lesion))
        if finding is not None and finding.reason:
            rows.append(["", TextBlock(words.retell(finding.reason), size=SMALL, colour=AMBER)])
            styles.append(("SPAN", (1, len(rows) - 1), (-1, len(rows) - 1)))
            styles.append(("TOPPADDING", (0, len(rows) - 1), (-1, len(rows) - 1), 0))
        styles.append(("LINEBELOW", (0, len(rows) - 1), (-1, len(rows) - 1), 0.4, RULE))
    return _table(rows, widths, styles)


def tell_probability(finding: Finding | None) -> str:
    """Return the probability of malignancy in percent."""
    if finding is None or finding.malignancy_probability is None:
        return NONE
    return f"{100 * finding.malignancy_probability:.0f} %"


def assessment_ink(finding: Finding | None) -> Color:
    """Return the colour of an assessment."""
    return INK if finding is None else _ASSESSMENT_INK.get(finding.assessment.value, AMBER)


def change_table(comparison: Comparison, changes: Sequence[LesionChange], words: Words) -> Flowable:
    """Make the table of changes since an earlier examination.

    Parameters
    ----------
    comparison : Comparison
    changes : sequence of LesionChange
        Those that have room.
    words : Words
    """
    head = [
        words.gettext("Lesion"),
        words.gettext("Status"),
        words.gettext("Volume (ml)"),
        words.gettext("Change"),
        words.gettext("Long axis (mm)"),
        words.gettext("Change"),
        words.gettext("Doubling time"),
    ]
    rows = [_head_row(head)]
    rows += [[TextBlock(text) for text in _change_cells(change, words)] for change in changes]
    total = [
        words.gettext("All lesions"),
        "",
        _from_to(comparison.total_volume_before_ml, comparison.total_volume_after_ml, 2),
        _percent(comparison.total_volume_change),
        "",
        "",
        "",
    ]
    rows.append([TextBlock(text, bold=True) for text in total])
    styles = [("LINEBELOW", (0, row), (-1, row), 0.4, RULE) for row in range(1, len(rows))]
    return _table(rows, (92, 62, 86, 52, 86, 52, 93), styles)


def _change_cells(change: LesionChange, words: Words) -> list[str]:
    status = {
        LesionStatus.MATCHED: words.gettext("found again"),
        LesionStatus.NEW: words.gettext("new"),
        LesionStatus.VANISHED: words.gettext("vanished"),
        LesionStatus.SPLIT: words.gettext("split"),
        LesionStatus.MERGED: words.gettext("merged"),
        LesionStatus.UNMATCHED: words.gettext("not matched"),
        LesionStatus.NOT_COVERED: words.gettext("not within these images"),
    }[change.status]
    numbers = [change.lesion_number, *change.further_lesion_numbers]
    now = ", ".join(str(number) for number in numbers if number is not None)
    days = change.doubling_time_days
    is_told = change.status in COMPARED
    if days is None:
        is_gone = change.status is LesionStatus.VANISHED
        doubling = words.retell(change.doubling_time_reason) if is_told and not is_gone else ""
    elif days < 0:
        doubling = words.gettext("halved in %(days)s days", days=f"{-days:.0f}")
    else:
        doubling = words.gettext("%(days)s days", days=f"{days:.0f}")
    return [
        f"{now or NONE}  ({words.retell(change.tracking_id)})",
        status,
        _from_to(change.volume_before_ml, change.volume_after_ml, 2),
        _percent(change.volume_change if is_told else None),
        _from_to(change.long_axis_before_mm, change.long_axis_after_mm, 1),
        _percent(change.long_axis_change if is_told else None),
        doubling or NONE,
    ]


def _from_to(before: float | None, after: float | None, digits: int) -> str:
    told = [NONE if value is None else f"{value:.{digits}f}" for value in (before, after)]
    return f"{told[0]} → {told[1]}"


def _percent(change: float | None) -> str:
    return NONE if change is None else f"{100 * change:+.0f} %".replace("+0 ", "0 ")


def _head_row(names: Sequence[str]) -> list[Flowable | str]:
    return [TextBlock(name, size=SMALL, colour=QUIET) for name in names]


def _lesion_row(lesion: Lesion, finding: Finding | None, words: Words) -> list[Flowable | str]:
    kind = tell_type(finding.predicted_type, words) if finding and finding.predicted_type else NONE
    assessed = tell_assessment(finding, words) if finding else words.gettext("not assessed")
    texts = [
        f"{lesion.volume_ml:.2f}",
        f"{lesion.long_axis_mm:.1f} × {lesion.short_axis_mm:.1f}",
        f"{lesion.maximum_3d_diameter_mm:.1f}",
        str(lesion.largest_slice + 1),
        f"{100 * lesion.mean_probability:.0f} %",
    ]
    name = words.gettext("Lesion %(number)s", number=lesion.number)
    return [
        TextBlock(name, bold=True),
        *(TextBlock(text) for text in texts),
        TextBlock(assessed, colour=assessment_ink(finding), bold=finding is not None),
        TextBlock(tell_probability(finding)),
        TextBlock(kind),
    ]


def _swatch(row: int, lesion: Lesion) -> tuple[object, ...]:
    red, green, blue = (value / 255 for value in lesion_colour(lesion.number))
    return ("LINEBEFORE", (0, row), (0, row), 4, Color(red, green, blue))


def _table(
    rows: list[list[Flowable | str]],
    widths: Sequence[float],
    styles: Sequence[tuple[object, ...]],
) -> Flowable:
    table = Table(rows, colWidths=widths, repeatRows=1)
    table.setStyle(
        table_style(
            ("BACKGROUND", (0, 0), (-1, 0), GROUND),
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LEFTPADDING", (0, 0), (-1, -1), 5),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5),
            *styles,
        )
    )
    return table
