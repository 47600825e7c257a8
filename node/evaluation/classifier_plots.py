"""The plots of a classifier's training, each as the bytes of a PNG."""

from collections.abc import Mapping, Sequence

import numpy as np

from node.evaluation.calibration import ReliabilityBin
from node.evaluation.importance import Importance
from node.evaluation.plots import COLOURS, GREY, new_figure, save_png, tidy


def plot_convergence(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> bytes:
    """Plot the best fitness so far, and the mean of each generation, against evaluations.

    Parameters
    ----------
    histories : mapping of str to sequence of mapping
        Name -> rows with ``evaluations``, ``best``, ``features`` and perhaps ``mean``.
    """
    figure = new_figure(6.5, 4.6)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    tidy(above)
    tidy(below)
    for colour, (name, rows) in zip(COLOURS, histories.items(), strict=False):
        done = [row["evaluations"] for row in rows]
        above.step(
            done, [row["best"] for row in rows], where="post", color=colour, label=f"{name}: best"
        )
        generations = [row for row in rows if "mean" in row]
        above.plot(
            [row["evaluations"] for row in generations],
            [row["mean"] for row in generations],
            "--",
            color=colour,
            linewidth=1,
            label=f"{name}: mean of the generation",
        )
        below.step(done, [row["features"] for row in rows], where="post", color=colour)
    above.set_ylabel("AUC less charge for features")
    above.legend(frameon=False, fontsize=9, loc="lower right")
    below.set_ylabel("features of the best")
    below.set_xlabel("candidates cross-validated")
    return save_png(figure)


def plot_reliability(bins: Sequence[ReliabilityBin]) -> bytes:
    """Plot the reliability diagram."""
    figure = new_figure(4.4, 4.2)
    axes = tidy(figure.subplots())
    axes.plot([0, 1], [0, 1], "--", color="#b6bec9", linewidth=1)
    predicted = [one.predicted for one in bins]
    observed = np.array([one.observed for one in bins])
    low, high = np.array([one.interval for one in bins]).T
    axes.errorbar(
        predicted,
        observed,
        yerr=[np.maximum(observed - low, 0), np.maximum(high - observed, 0)],
        fmt="o-",
        color=COLOURS[0],
        capsize=3,
    )
    for one in bins:
        axes.annotate(
            f"n = {one.count}",
            (one.predicted, one.observed),
            (5, -11),
            textcoords="offset points",
            fontsize=8,
            color=GREY,
        )
    axes.set(xlim=(-0.03, 1.12), ylim=(-0.03, 1.03))
    axes.set_xlabel("predicted probability of malignancy")
    axes.set_ylabel("share that is malignant (95 % interval)")
    return save_png(figure)


def plot_importance(found: Sequence[Importance], *, most: int = 15) -> bytes:
    """Plot the loss of AUC of each group of features, the most important on top."""
    shown = sorted(found, key=lambda one: one.loss)[-most:]
    figure = new_figure(7.5, 0.9 + 0.34 * len(shown))
    axes = tidy(figure.subplots())
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color="#b6bec9", linewidth=1)
    for place, one in enumerate(shown):
        axes.plot([one.low, one.high], [place, place], color=GREY, linewidth=1.6)
        axes.plot(one.loss, place, "o", color=COLOURS[0])
    axes.set_yticks(range(len(shown)), [_label(one) for one in shown], fontsize=8)
    axes.set_xlabel("AUC lost when shuffled (95 % of the shuffles)", fontsize=9)
    return save_png(figure)


def _label(one: Importance) -> str:
    more = len(one.features) - 1
    return one.features[0] + (f" and {more} alike" if more else "")
