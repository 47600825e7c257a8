"""One slice as a picture: greys, outlines, letters, scale."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from node.domain.report import Report
from node.domain.volume import Volume
from node.report.display import View, scale_length_mm, smooth_outline
from node.report.palette import lesion_colour

REFERENCE_COLOUR = "#7CFC9A"
INK, QUIET = "#f2f4f8", "#9aa4b2"
SHADOW = [withStroke(linewidth=2.5, foreground="black")]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Part of a screen slice, in pixels: rows and columns from first to before last."""

    rows: tuple[int, int]
    columns: tuple[int, int]


def draw_slice(
    axes: Axes,
    k: int,
    *,
    volume: Volume,
    report: Report,
    view: View,
    window: tuple[float, float],
    reference: NDArray[np.bool_] | None = None,
    crop: Crop | None = None,
    line_width: float = 2.0,
    numbers: bool = True,
) -> None:
    """Draw slice ``k`` with the outlines of all lesions that cross it.

    Parameters
    ----------
    axes : matplotlib Axes
    k : int
    volume, report, view
        What to show, and how it is turned.
    window : tuple of float
        Intensities shown as black and as white.
    reference : ndarray of bool, shape (z, y, x), optional
        Drawn dashed.
    crop : Crop, optional
        Shown alone; default is the whole slice.
    line_width : float
        Of the outlines, in points.
    numbers : bool
        Write each lesion's number beside it.
    """
    plane = view.show(volume.voxels[k])
    labels = view.show(report.segmentation.labels[k])
    rows, columns = plane.shape
    extent = (0.0, columns * view.column_mm, rows * view.row_mm, 0.0)
    axes.imshow(
        plane,
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        extent=extent,
        interpolation="bicubic",
        aspect="equal",
    )
    if reference is not None:
        truth = view.show(reference[k])
        _outline(axes, truth, view, colour=REFERENCE_COLOUR, width=0.75 * line_width, dashed=True)
    for lesion in report.segmentation.lesions:
        mask = labels == lesion.number
        if mask.any():
            colour = "#{:02x}{:02x}{:02x}".format(*lesion_colour(lesion.number))
            _outline(axes, mask, view, colour=colour, width=line_width)
            if numbers:
                _number(axes, mask, view, colour, lesion.number)
    shown = crop or Crop(rows=(0, rows), columns=(0, columns))
    axes.set_xlim(shown.columns[0] * view.column_mm, shown.columns[1] * view.column_mm)
    axes.set_ylim(shown.rows[1] * view.row_mm, shown.rows[0] * view.row_mm)
    axes.set_axis_off()


def crop_around(
    masks: NDArray[np.bool_], view: View, *, margin_mm: float = 15, smallest_mm: float = 50
) -> Crop:
    """Square part of the screen that holds a lesion in all its slices.

    Parameters
    ----------
    masks : ndarray of bool, shape (z, y, x)
    view : View
    margin_mm, smallest_mm : float
        Around the lesion, and for the side of the square.
    """
    shadow = view.show(np.asarray(masks.any(axis=0)))
    where = np.argwhere(shadow)
    size_mm = np.array([view.row_mm, view.column_mm])
    low, high = where.min(axis=0) * size_mm, (where.max(axis=0) + 1) * size_mm
    whole_mm = np.array(shadow.shape) * size_mm
    side = min(max(float((high - low).max()) + 2 * margin_mm, smallest_mm), float(whole_mm.min()))
    start = np.clip((low + high) / 2 - side / 2, 0, whole_mm - side)
    (top, left), (bottom, right) = start / size_mm, (start + side) / size_mm
    return Crop(rows=(round(top), round(bottom)), columns=(round(left), round(right)))


def write_letters(axes: Axes, view: View, size: float = 13) -> None:
    """Write the orientation letters at the four sides."""
    places = {
        "left": (0.02, 0.5, "left", "center"),
        "right": (0.98, 0.5, "right", "center"),
        "top": (0.5, 0.98, "center", "top"),
        "bottom": (0.5, 0.02, "center", "bottom"),
    }
    for side, letters in view.letters().items():
        x, y, horizontal, vertical = places[side]
        axes.text(
            x,
            y,
            letters,
            transform=axes.transAxes,
            ha=horizontal,
            va=vertical,
            color="#ffd479",
            fontsize=size,
            fontweight="bold",
            path_effects=SHADOW,
        )


def draw_scale(axes: Axes, size: float = 10) -> None:
    """Draw a scale bar in the lower right corner; the axes' unit is the millimetre."""
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    length = scale_length_mm(right - left)
    end = right - 0.05 * (right - left)
    height = bottom - 0.05 * (bottom - top)
    axes.plot([end - length, end], [height, height], color=INK, linewidth=3, path_effects=SHADOW)
    axes.text(
        end - length / 2,
        height - 0.015 * (bottom - top),
        f"{length} mm",
        ha="center",
        va="bottom",
        color=INK,
        fontsize=size,
        path_effects=SHADOW,
    )


def write_corner(axes: Axes, text: str, size: float = 11) -> None:
    """Write a caption into the upper left corner."""
    axes.text(
        0.02,
        0.98,
        text,
        transform=axes.transAxes,
        ha="left",
        va="top",
        color=INK,
        fontsize=size,
        path_effects=SHADOW,
    )


def _outline(
    axes: Axes,
    mask: NDArray[np.bool_],
    view: View,
    *,
    colour: str,
    width: float,
    dashed: bool = False,
) -> None:
    if not mask.any():
        return
    window = _window_around(mask)
    field, level = smooth_outline(mask[window])
    top, left = (part.start for part in window)
    fine_rows, fine_columns = field.shape
    rows, columns = mask[window].shape
    x = (left + (np.arange(fine_columns) + 0.5) * columns / fine_columns) * view.column_mm
    y = (top + (np.arange(fine_rows) + 0.5) * rows / fine_rows) * view.row_mm
    axes.contour(
        x,
        y,
        field,
        levels=[level],
        colors=[colour],
        linewidths=width,
        linestyles="dashed" if dashed else "solid",
    )


def _window_around(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of a mask with a margin wider than the outline's smoothing reaches."""
    margin = 3
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    rows, columns = (slice(max(0, int(s[0]) - margin), int(s[-1]) + 1 + margin) for s in spans)
    return rows, columns


def _number(axes: Axes, mask: NDArray[np.bool_], view: View, colour: str, number: int) -> None:
    where = np.argwhere(mask)
    axes.text(
        (where[:, 1].max() + 1.5) * view.column_mm,
        (where[:, 0].min() - 0.5) * view.row_mm,
        str(number),
        color=colour,
        fontsize=13,
        fontweight="bold",
        ha="left",
        va="bottom",
        clip_on=True,
        path_effects=SHADOW,
    )
