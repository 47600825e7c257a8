"""The words of the overlay: measurements, probability and model, in one column."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from node.domain.finding import BENIGN, MALIGNANT, Finding
from node.domain.report import ModelIdentity, Report
from node.domain.segmentation import Lesion
from node.language import Words
from node.report.lettering import wrap_text
from node.report.palette import lesion_colour
from node.report.panels import INK, QUIET, REFERENCE_COLOUR
from node.report.phrases import tell_assessment, tell_count, tell_type

TRACK = "#262d38"
WARNING = "#ffd479"
MOST_LESIONS = 4
_LINE = 0.045
"""Height of a line below the lesions, in parts of the column."""
_ASSESSMENT_COLOURS = {MALIGNANT.value: "#ff6b6b", BENIGN.value: "#5fd38d"}


def write_findings(axes: Axes, report: Report, words: Words, *, dice: float | None) -> None:
    """Fill the text column.

    Parameters
    ----------
    axes : matplotlib Axes
        Empty, from 0 to 1 in both directions.
    report : Report
    words : Words
    dice : float or None
        Agreement with a reference mask, if there is one.
    """
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    lesions = report.segmentation.lesions
    _text(axes, 0.985, tell_count(report, words), size=17, weight="bold")
    top = 0.915
    if report.completeness.is_partial:
        top = _write_partial(axes, top, report, words)
    room = top - _write_model(axes, report.model, words) - (0 if dice is None else _LINE)
    findings = {finding.lesion_number: finding for finding in report.findings}
    shown = _count_fitting([findings.get(lesion.number) for lesion in lesions], room, words)
    for lesion in lesions[:shown]:
        top = _write_lesion(axes, top, lesion, findings.get(lesion.number), words)
    more = len(lesions) - shown
    if more:
        rest = sum(lesion.volume_ml for lesion in lesions[shown:])
        told = words.gettext(
            "and %(more)s more, together %(volume)s ml: see the report",
            more=more,
            volume=f"{rest:.2f}",
        )
        _text(axes, top, told, colour=QUIET)
        top -= _LINE
    if dice is not None:
        axes.plot(
            [0, 0.1], [top - 0.012] * 2, color=REFERENCE_COLOUR, linewidth=2, linestyle="dashed"
        )
        told = words.gettext("reference mask, Dice %(dice)s", dice=f"{dice:.3f}")
        _text(axes, top, told, x=0.13)


def _count_fitting(findings: Sequence[Finding | None], room: float, words: Words) -> int:
    """Return how many lesions have room, with the line that tells of the others below them."""
    shown = 0
    for number, finding in enumerate(findings[:MOST_LESIONS], start=1):
        room -= _height_of(finding, words)
        if room < (_LINE if number < len(findings) else 0):
            break
        shown = number
    return shown


def _height_of(finding: Finding | None, words: Words) -> float:
    if finding is None:
        return 0.09
    bar = 0 if finding.malignancy_probability is None else 0.034
    return 0.137 + bar + 0.031 * len(_reason_lines(finding, words))


def _write_partial(axes: Axes, top: float, report: Report, words: Words) -> float:
    """Warn that images are missing, with what that means."""
    arrival = words.retell(str(report.completeness))
    headline = words.gettext("PARTIAL - %(arrival)s", arrival=arrival)
    _text(axes, top, headline, size=13, weight="bold", colour=WARNING)
    told = words.join(map(words.retell, report.completeness.limitations))
    lines = wrap_text(told, 62, max_lines=4, placeholder=words.gettext(" ... (more in the report)"))
    for number, line in enumerate(lines, start=1):
        _text(axes, top - 0.012 - 0.028 * number, line, size=10, colour=WARNING)
    return top - 0.05 - 0.028 * len(lines)


def _write_lesion(
    axes: Axes, top: float, lesion: Lesion, finding: Finding | None, words: Words
) -> float:
    colour = "#{:02x}{:02x}{:02x}".format(*lesion_colour(lesion.number))
    axes.add_patch(Rectangle((0, top - 0.026), 0.022, 0.024, color=colour))
    title = words.gettext("Lesion %(number)s", number=lesion.number)
    _text(axes, top, title, x=0.05, size=13, weight="bold")
    if finding is not None and finding.predicted_type:
        kind = tell_type(finding.predicted_type, words)
        _text(axes, top, kind, x=1, size=13, align="right")
    _text(axes, top - 0.037, f"{lesion.volume_ml:.2f} ml", x=0.05)
    axis_mm = f"{lesion.long_axis_mm:.1f} x {lesion.short_axis_mm:.1f} mm"
    _text(axes, top - 0.037, axis_mm, x=0.33)
    _text(axes, top - 0.037, f"3D {lesion.maximum_3d_diameter_mm:.1f} mm", x=1, align="right")
    if finding is None:
        return top - 0.09
    return _write_assessment(axes, top - 0.077, finding, words)


def _write_assessment(axes: Axes, top: float, finding: Finding, words: Words) -> float:
    colour = _ASSESSMENT_COLOURS.get(finding.assessment.value, "#ffd479")
    probability = finding.malignancy_probability
    _text(axes, top, tell_assessment(finding, words), x=0.05, colour=colour, weight="bold")
    if probability is not None:
        told = words.gettext("P(malignant) %(percent)s %%", percent=f"{100 * probability:.0f}")
        _text(axes, top, told, x=1, align="right")
        top -= 0.034
        for width, fill in ((0.95, TRACK), (0.95 * probability, colour)):
            bar = FancyBboxPatch(
                (0.05, top - 0.01), width, 0.008, boxstyle="square,pad=0", color=fill, linewidth=0
            )
            axes.add_patch(bar)
    for line in _reason_lines(finding, words):
        top -= 0.031
        _text(axes, top, line, x=0.05, size=10, colour=QUIET)
    return top - 0.06


def _reason_lines(finding: Finding, words: Words) -> list[str]:
    more = words.gettext(" ... (more in the report)")
    return wrap_text(words.retell(finding.reason), 56, max_lines=3, placeholder=more)


def _write_model(axes: Axes, model: ModelIdentity, words: Words) -> float:
    """Name the model at the foot; return where the line above it lies."""
    limits = wrap_text(
        words.retell(model.limitations),
        58,
        max_lines=4,
        placeholder=words.gettext(" ... (more in the report)"),
    )
    lines = [f"{model.name} {model.version}  sha256 {model.digest[:12]}", *limits]
    top = 0.03 * len(lines)
    axes.plot([0, 1], [top + 0.02] * 2, color=TRACK, linewidth=1)
    for number, line in enumerate(lines):
        _text(axes, top - 0.03 * number, line, size=10, colour=INK if not number else QUIET)
    return top + 0.02


def _text(
    axes: Axes,
    top: float,
    text: str,
    *,
    x: float = 0,
    size: float = 11.5,
    colour: str = INK,
    weight: str = "normal",
    align: str = "left",
) -> None:
    axes.text(x, top, text, va="top", ha=align, fontsize=size, color=colour, fontweight=weight)
