"""The picture for Secondary Capture: one slice and a few words, legible at 512 pixels."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from node.domain.finding import Finding
from node.domain.report import Report
from node.domain.segmentation import Lesion
from node.domain.volume import Volume
from node.language import Words, words_of
from node.report.display import View, grey_window
from node.report.key_image import BANNER, BANNER_GROUND, GROUND, main_slice
from node.report.lettering import letter_figure
from node.report.palette import lesion_colour
from node.report.panels import INK, draw_scale, draw_slice, write_letters
from node.report.phrases import tell_assessment, tell_banner, tell_count

SIDE_INCHES, DOTS_PER_INCH = 10.24, 100
MOST_LESIONS = 3
LARGE, NORMAL = 27, 20
"""Points: at 512 pixels capitals are 13 and 10 pixels high, more than the 9 that can be read."""


def draw_capture(volume: Volume, report: Report, path: Path, *, words: Words | None = None) -> Path:
    """Draw the picture as PNG, 1024 x 1024 pixels, without patient text.

    Parameters
    ----------
    volume : Volume
    report : Report
    path : Path
        File to write.
    words : Words, optional
        English by default.

    Returns
    -------
    Path
        ``path``.
    """
    words = words or words_of("en")
    figure = Figure(figsize=(SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, facecolor=GROUND)
    canvas = FigureCanvasAgg(figure)
    view = View.of(volume.geometry)
    band = figure.add_axes((0, 0.93, 1, 0.07), facecolor=BANNER_GROUND)
    band.set_xticks([])
    band.set_yticks([])
    partial = f"{words.gettext('PARTIAL')} | " * report.completeness.is_partial
    size = LARGE if not partial else NORMAL
    band.text(
        0.5, 0.46, partial + tell_banner(words), color=INK, size=size, ha="center", va="center"
    )
    lesions = sorted(report.segmentation.lesions, key=lambda each: -each.volume_ml)
    lines = _lines(report, lesions, words)
    foot = 0.02 + 0.042 * len(lines)
    main = figure.add_axes((0.01, foot, 0.98, 0.92 - foot), facecolor="black")
    k = main_slice(report)
    window = grey_window(volume, report.model.anatomic_region.value)
    draw_slice(main, k, volume=volume, report=report, view=view, window=window, line_width=3)
    write_letters(main, view, size=NORMAL)
    draw_scale(main, size=NORMAL)
    for number, (text, colour) in enumerate(lines):
        top = foot - 0.008 - 0.042 * number
        figure.text(0.02, top, text, color=colour, size=NORMAL, ha="left", va="top")
    letter_figure(figure, words)
    canvas.print_png(str(path), metadata={"Software": None, "Title": BANNER})
    return path


def read_capture(path: Path) -> NDArray[np.uint8]:
    """Read such a picture; RGB, shape (rows, columns, 3)."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _lines(report: Report, lesions: list[Lesion], words: Words) -> list[tuple[str, str]]:
    model = f"{report.model.name} {report.model.version}"
    if not lesions:
        none = words.gettext("%(conclusion)s.", conclusion=tell_count(report, words))
        return [(f"{none}  {model}", INK)]
    findings = {finding.lesion_number: finding for finding in report.findings}
    told = [
        (_tell(lesion, findings.get(lesion.number), words), _colour(lesion))
        for lesion in lesions[:MOST_LESIONS]
    ]
    more = len(lesions) - MOST_LESIONS
    rest = words.gettext("and %(more)s more.  ", more=more) if more > 0 else ""
    return [*told, (f"{rest}{model}", INK)]


def _tell(lesion: Lesion, finding: Finding | None, words: Words) -> str:
    size = f"{lesion.volume_ml:.1f} ml, {lesion.long_axis_mm:.0f} x {lesion.short_axis_mm:.0f} mm"
    if finding is None:
        return f"{lesion.number}: {size}"
    probability = finding.malignancy_probability
    told = [size, tell_assessment(finding, words)]
    if probability is not None:
        percent = f"{100 * probability:.0f}"
        told.append(words.gettext("P(malignant) %(percent)s %%", percent=percent))
    return f"{lesion.number}: {', '.join(told)}"[:64]


def _colour(lesion: Lesion) -> str:
    return "#{:02x}{:02x}{:02x}".format(*lesion_colour(lesion.number))
