"""Pictures of single cases: the image with the labelled and the predicted outline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from skimage.measure import find_contours

from node.evaluation.plots import new_figure, save_png

REFERENCE_COLOUR = "#00e0a4"
PREDICTED_COLOUR = "#ff8c2a"
PICTURE_DPI = 110


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlined:
    """A case to be shown.

    Parameters
    ----------
    voxels : ndarray, shape (z, y, x)
    reference, predicted : ndarray of bool, shape (z, y, x)
    spacing_mm : tuple of float
    caption : str
        Above the picture; at most two short lines.
    window : tuple of float, optional
        Intensities shown as black and white; without it the 0.5th and 99.5th percentile.
    """

    voxels: NDArray[Any]
    reference: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    caption: str
    window: tuple[float, float] | None = None


def choose_slice(reference: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> int:
    """Return the slice where the masks disagree most; else the one with most of the tumour."""
    apart = (reference != predicted).sum(axis=(1, 2))
    return int(np.argmax(apart if apart.any() else reference.sum(axis=(1, 2))))


def draw_cases(cases: Sequence[Outlined], *, columns: int = 3) -> bytes:
    """Draw cases side by side as PNG: labelled outline green, predicted one orange and dashed."""
    columns = min(columns, len(cases))
    rows = -(-len(cases) // columns)
    figure = new_figure(max(4.2, 3.2 * columns), 3.55 * rows + 0.3)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, case in zip(grid, cases, strict=False):
        _draw(axes, case)
    figure.legend(
        handles=[
            Line2D([], [], color="#008f69", linewidth=2, label="labelled by the reader"),
            Line2D(
                [], [], color="#d96a0b", linewidth=2, linestyle="--", label="marked by the model"
            ),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=10,
    )
    return save_png(figure, dpi=PICTURE_DPI, colours=128)


def _draw(axes: Axes, case: Outlined) -> None:
    k = choose_slice(case.reference, case.predicted)
    plane = case.voxels[k]
    low, high = case.window or tuple(np.percentile(plane, [0.5, 99.5]))
    axes.imshow(
        plane,
        cmap="gray",
        vmin=low,
        vmax=max(high, low + 1e-6),
        aspect=case.spacing_mm[1] / case.spacing_mm[2],
        interpolation="bilinear",
    )
    for mask, colour, style in (
        (case.reference[k], REFERENCE_COLOUR, "-"),
        (case.predicted[k], PREDICTED_COLOUR, "--"),
    ):
        # The pad closes outlines of masks that touch the border of the image.
        for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
            axes.plot(line[:, 1] - 1, line[:, 0] - 1, style, color=colour, linewidth=1.3)
    axes.set_xlim(-0.5, plane.shape[1] - 0.5)
    axes.set_ylim(plane.shape[0] - 0.5, -0.5)
    axes.set_title(case.caption, fontsize=8.5)
