"""Overlay picture: the lesions as a reader wants to see them, for viewers that show no SEG."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from node.domain.report import Report
from node.domain.volume import Volume
from node.language import Words, words_of
from node.report.captions import write_findings
from node.report.display import View, dice, grey_window
from node.report.lettering import letter_figure
from node.report.panels import (
    INK,
    Crop,
    crop_around,
    draw_scale,
    draw_slice,
    write_corner,
    write_letters,
)
from node.report.phrases import tell_banner

BANNER = "AI - research use, not for diagnosis"
GROUND, BANNER_GROUND = "#0b0e13", "#7a4b00"
SIZE_INCHES, DOTS_PER_INCH = (16.0, 10.0), 100
CLOSE_UPS = 4
CAPTIONS = (0.685, 0.03, 0.295, 0.895)
"""Left, bottom, width and height of the column of texts, in parts of the picture."""


def draw_overlay(
    volume: Volume,
    report: Report,
    path: Path,
    reference: NDArray[np.bool_] | None = None,
    *,
    words: Words | None = None,
) -> Path:
    """Draw the overlay PNG.

    The largest slice of the largest lesion is shown whole; beside it stand close-ups: of each
    lesion where there are several, else of slices through the only one. No patient text is
    written into the picture.

    Parameters
    ----------
    volume : Volume
    report : Report
    path : Path
        File to write.
    reference : ndarray, shape (z, y, x), optional
        Reference mask, drawn dashed, with Dice.
    words : Words, optional
        English by default.

    Returns
    -------
    Path
        ``path``.
    """
    words = words or words_of("en")
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_PER_INCH, facecolor=GROUND)
    canvas = FigureCanvasAgg(figure)  # no pyplot: its figures are global and never freed
    view = View.of(volume.geometry)
    truth = None if reference is None else np.asarray(reference) > 0
    window = grey_window(volume, report.model.anatomic_region.value)
    _write_banner(figure, report, words)

    main = figure.add_axes((0.01, 0.03, 0.5, 0.895), facecolor="black")
    k = main_slice(report)
    draw_slice(main, k, volume=volume, report=report, view=view, window=window, reference=truth)
    write_letters(main, view)
    draw_scale(main)
    told = words.gettext("slice %(number)s of %(count)s", number=k + 1, count=len(volume.voxels))
    write_corner(main, f"{volume.modality}  {told}")

    close_ups = choose_close_ups(report, view, words)
    for number, (slice_index, crop, title) in enumerate(close_ups):
        panel = figure.add_axes((0.52, 0.71 - 0.2267 * number, 0.135, 0.215), facecolor="black")
        draw_slice(
            panel,
            slice_index,
            volume=volume,
            report=report,
            view=view,
            window=window,
            reference=truth,
            crop=crop,
            line_width=1.6,
            numbers=False,
        )
        draw_scale(panel, size=8)
        write_corner(panel, title, size=9)

    column = figure.add_axes(CAPTIONS)
    agreement = None if truth is None else dice(report.segmentation.labels > 0, truth)
    write_findings(column, report, words, dice=agreement)
    letter_figure(figure, words)
    canvas.print_png(str(path), metadata={"Software": None, "Title": BANNER})
    return path


def _write_banner(figure: Figure, report: Report, words: Words) -> None:
    band = figure.add_axes((0, 0.945, 1, 0.055), facecolor=BANNER_GROUND)
    band.set_xticks([])
    band.set_yticks([])
    for spine in band.spines.values():
        spine.set_visible(False)
    name = f"OncoNode  |  {report.model.name} {report.model.version}"
    band.text(0.015, 0.5, name, color=INK, fontsize=14, va="center", fontweight="bold")
    banner = tell_banner(words)
    if report.completeness.is_partial:
        banner = f"{words.gettext('PARTIAL')}  |  {banner}"
    band.text(0.98, 0.5, banner, color=INK, fontsize=14, va="center", ha="right", weight="bold")


def main_slice(report: Report) -> int:
    """Return the largest slice of the largest lesion, or the middle one where there is none."""
    lesions = report.segmentation.lesions
    if lesions:
        return max(lesions, key=lambda lesion: lesion.volume_ml).largest_slice
    return report.segmentation.geometry.shape[0] // 2


def choose_close_ups(
    report: Report, view: View, words: Words
) -> list[tuple[int, Crop | None, str]]:
    """Choose slice, part of it and caption for each small picture."""
    lesions = report.segmentation.lesions
    slices = report.segmentation.geometry.shape[0]
    if not lesions:
        return [
            (k, None, words.gettext("slice %(number)s", number=k + 1))
            for k in _spread(range(slices))
        ]
    if len(lesions) > 1:
        return [
            (
                lesion.largest_slice,
                crop_around(report.segmentation.mask_of(lesion), view),
                words.gettext(
                    "lesion %(number)s, slice %(slice)s",
                    number=lesion.number,
                    slice=lesion.largest_slice + 1,
                ),
            )
            for lesion in lesions[:CLOSE_UPS]
        ]
    mask = report.segmentation.mask_of(lesions[0])
    crop = crop_around(mask, view)
    occupied = np.nonzero(mask.any(axis=(1, 2)))[0]
    spread = _spread(range(occupied[0], occupied[-1] + 1))
    return [(k, crop, words.gettext("slice %(number)s", number=k + 1)) for k in spread]


def _spread(slices: range) -> list[int]:
    """At most as many slices as there are panels, evenly spread."""
    chosen = np.linspace(0, len(slices) - 1, min(CLOSE_UPS, len(slices)))
    return sorted({slices[round(position)] for position in chosen})
