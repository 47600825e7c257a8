"""The plots of a report, each as the bytes of a PNG."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_curve

from node.evaluation.robustness import RobustnessPoint

#: Okabe and Ito's colours, which readers with colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#5b6675"
DPI = 150


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure on white, without any global state."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, *, dpi: int = DPI, colours: int = 64) -> bytes:
    """Return a figure as PNG with a palette, which takes a third of the room."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    buffer.seek(0)
    packed = io.BytesIO()
    with Image.open(buffer) as picture:
        reduced = picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        reduced.save(packed, format="png", optimize=True)
    return packed.getvalue()


def tidy(axes: Axes) -> Axes:
    """Take away what carries no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, color=GREY)
    axes.grid(axis="y", color="#e4e8ed", linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def plot_by_group(
    groups: Mapping[str, NDArray[Any]], *, label: str, seed: int = 0, bounds: bool = True
) -> bytes:
    """Plot one dot for each patient, by group, with the box of the quartiles.

    Parameters
    ----------
    groups : mapping of str to ndarray of float
        One value for each patient.
    label : str
        Of the vertical axis.
    seed : int
        Of the sideways scatter.
    bounds : bool
        Whether the figure runs from 0 to 1.
    """
    figure = new_figure(max(4.5, 1.3 * len(groups) + 1.5), 3.4)
    axes = tidy(figure.subplots())
    rng = np.random.default_rng(seed)
    values = [np.asarray(group, float) for group in groups.values()]
    axes.boxplot(
        values,
        widths=0.5,
        showfliers=False,
        medianprops={"color": COLOURS[1], "linewidth": 2},
        boxprops={"color": GREY},
        whiskerprops={"color": GREY},
        capprops={"color": GREY},
    )
    for place, group in enumerate(values, start=1):
        x = place + rng.uniform(-0.14, 0.14, len(group))
        axes.plot(x, group, "o", color=COLOURS[0], alpha=0.55, markersize=4.5, mew=0)
    names = [f"{name}\n(n = {len(v)})" for name, v in zip(groups, values, strict=True)]
    axes.set_xticks(range(1, len(groups) + 1), names)
    axes.set_ylabel(label)
    if bounds:
        axes.set_ylim(-0.03, 1.03)
    return save_png(figure)


def plot_shares(
    shares: Mapping[str, tuple[float, float, float, int]], *, label: str, unit: str
) -> bytes:
    """Plot bars with intervals: name -> (share, low, high, count); names without cases are named.

    Parameters
    ----------
    shares : mapping
    label : str
        Of the vertical axis.
    unit : str
        What is counted, in the plural.
    """
    figure = new_figure(5.5, 3.2)
    axes = tidy(figure.subplots())
    for place, (share, low, high, count) in enumerate(shares.values()):
        if count:
            axes.bar(place, share, width=0.6, color=COLOURS[0], alpha=0.8)
            error = [[max(0.0, share - low)], [max(0.0, high - share)]]
            axes.errorbar(place, share, error, color="#1c2430", capsize=4, linewidth=1.4)
            axes.text(place, max(share, high) + 0.03, f"{share:.2f}", fontsize=9, ha="center")
        else:
            axes.text(place, 0.03, "none in\nthe test set", ha="center", fontsize=8.5, color=GREY)
    names = [f"{name}\n({counted[3]} {unit})" for name, counted in shares.items()]
    axes.set_xticks(range(len(shares)), names)
    axes.set_xlim(-0.6, len(shares) - 0.4)
    axes.set_ylim(0, 1.15)
    axes.set_ylabel(label)
    return save_png(figure)


def plot_roc(curves: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]) -> bytes:
    """Plot ROC curves: name -> (truth, score)."""
    figure = new_figure(4.2, 4.0)
    axes = tidy(figure.subplots())
    axes.plot([0, 1], [0, 1], "--", color="#b6bec9", linewidth=1)
    for colour, (name, (truth, score)) in zip(COLOURS, curves.items(), strict=False):
        false_rate, true_rate, _ = roc_curve(truth, score, drop_intermediate=False)
        axes.plot(false_rate, true_rate, color=colour, linewidth=2, label=name)
    axes.set_xlabel("share of benign called malignant (1 - specificity)")
    axes.set_ylabel("share of malignant found (sensitivity)")
    axes.set_aspect("equal")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return save_png(figure)


def plot_coverage(
    confidence: NDArray[Any],
    correct: NDArray[Any],
    *,
    coverage: float,
    error: float,
) -> bytes:
    """Plot the error among the surest cases against their share; a dot marks the shipped rule.

    Parameters
    ----------
    confidence : ndarray of float, shape (n,)
    correct : ndarray of bool, shape (n,)
    coverage, error : float
        Share decided, and error among those, by the bundle's own rule.
    """
    figure = new_figure(5.2, 3.2)
    axes = tidy(figure.subplots())
    order = np.argsort(-np.asarray(confidence), kind="stable")
    wrong = np.cumsum(~np.asarray(correct, bool)[order])
    decided = np.arange(1, len(order) + 1)
    axes.plot(decided / len(order), wrong / decided, color=COLOURS[0], linewidth=2)
    axes.plot(coverage, error, "o", color=COLOURS[1], markersize=8, label="rule of this bundle")
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, None)
    axes.set_xlabel("share of cases that get an answer (the surest first)")
    axes.set_ylabel("share of answers that are wrong")
    axes.legend(frameon=False, fontsize=9)
    return save_png(figure)


def plot_robustness(points: Sequence[RobustnessPoint], *, label: str = "Dice") -> bytes:
    """Plot a panel for each degradation: one line with its 95 % interval for each model."""
    panels = list(dict.fromkeys(point.degradation for point in points))
    figure = new_figure(3.4 * len(panels) + 0.4, 3.3)
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, degradation in zip(grid, panels, strict=True):
        tidy(axes)
        chosen = [point for point in points if point.degradation == degradation]
        models = dict.fromkeys(point.model for point in chosen)
        for colour, model in zip(COLOURS, models, strict=False):
            line = [point for point in chosen if point.model == model]
            levels = [point.level for point in line]
            axes.fill_between(
                levels,
                [p.low for p in line],
                [p.high for p in line],
                color=colour,
                alpha=0.15,
                lw=0,
            )
            axes.plot(levels, [p.dice for p in line], "o-", color=colour, label=model, ms=4.5, lw=2)
        axes.set_xlabel(chosen[0].unit, fontsize=9)
        axes.set_ylim(-0.02, 1.02)
    grid[0].set_ylabel(label)
    grid[0].legend(frameon=False, fontsize=9, loc="lower left")
    return save_png(figure)


def plot_volumes(reference_ml: NDArray[Any], predicted_ml: NDArray[Any], *, label: str) -> bytes:
    """Plot predicted against labelled size, both on logarithmic axes."""
    figure = new_figure(4.2, 4.0)
    axes = tidy(figure.subplots())
    both = (np.asarray(reference_ml) > 0) & (np.asarray(predicted_ml) > 0)
    reference, predicted = np.asarray(reference_ml)[both], np.asarray(predicted_ml)[both]
    if len(reference):
        ends = [min(reference.min(), predicted.min()), max(reference.max(), predicted.max())]
        axes.plot(ends, ends, "--", color="#b6bec9", linewidth=1)
        axes.loglog(reference, predicted, "o", color=COLOURS[0], alpha=0.45, ms=4.5, mew=0)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel(f"labelled {label}")
    axes.set_ylabel(f"outlined {label}")
    return save_png(figure)
