"""Which share of the features is reproducible: tables, files and a plot of ICC values."""

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from node.evaluation.icc import Reliability

#: Good and excellent reliability: Koo, Li, J Chiropr Med 15(2), 2016,
#: doi:10.1016/j.jcm.2016.02.012.
GOOD, EXCELLENT = 0.75, 0.90
#: Image names begin with these; ``wavelet-packet`` stands before ``wavelet``.
FILTERS = ("wavelet-packet", "wavelet", "log-sigma", "lbp-2D", "lbp-3D", "gabor")


def filter_class_of(feature: str) -> str:
    """Return ``"log-sigma"`` for ``"log-sigma-1-0-mm-3D_glrlm_RunEntropy"``."""
    image = feature.split("_", maxsplit=1)[0]
    return next((name for name in FILTERS if re.match(rf"{name}(-|$)", image)), image)


def feature_class_of(feature: str) -> str:
    """Return ``"glrlm"`` for ``"log-sigma-1-0-mm-3D_glrlm_RunEntropy"``."""
    return feature.split("_")[1]


def count_shares(found: Iterable[Reliability]) -> dict[str, Any]:
    """Share of features at or above both limits, by the estimate and by the lower bound.

    Features without a value (undefined on these data, or the same for every case) are counted
    apart and do not enter the shares; shares are None where no feature has one.
    """
    every = list(found)
    defined = [one for one in every if math.isfinite(one.icc)]

    def share(values: list[float], limit: float) -> float | None:
        return round(sum(v >= limit for v in values) / len(values), 4) if values else None

    estimates, bounds = [one.icc for one in defined], [one.low for one in defined]
    return {
        "features": len(every),
        "undefined": len(every) - len(defined),
        "icc_0.75": share(estimates, GOOD),
        "icc_0.90": share(estimates, EXCELLENT),
        "lower_bound_0.75": share(bounds, GOOD),
        "lower_bound_0.90": share(bounds, EXCELLENT),
    }


def summarise(found: Mapping[str, Reliability]) -> dict[str, Any]:
    """Shares of all features, by feature class and by filter class."""
    groups: dict[str, Any] = {"all": count_shares(found.values())}
    for key, class_of in (
        ("feature_classes", feature_class_of),
        ("filter_classes", filter_class_of),
    ):
        names = dict.fromkeys(class_of(feature) for feature in found)
        groups[key] = {
            name: count_shares(one for feature, one in found.items() if class_of(feature) == name)
            for name in names
        }
    return groups


def write_files(found: Mapping[str, Reliability], summary: Mapping[str, Any], folder: Path) -> None:
    """Write ``icc.csv``, ``icc.json``, ``icc.png`` and ``reproducibility.json``.

    ``icc.json`` holds ``{feature: {"icc", "low", "high"}}`` with null for what is undefined: what
    the training of a classifier reads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "icc.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["feature", "filter_class", "feature_class", "icc", "low", "high", "cases"])
        for name, one in found.items():
            values = ["" if v is None else v for v in _rounded(one).values()]
            rows.writerow([name, filter_class_of(name), feature_class_of(name), *values, one.cases])
    _write_json(folder / "icc.json", {name: _rounded(one) for name, one in found.items()})
    _write_json(folder / "reproducibility.json", summary)
    plot_reliabilities(found, folder / "icc.png")


def plot_reliabilities(found: Mapping[str, Reliability], path: Path) -> None:
    """Draw every ICC with its interval, and the shares of each class."""
    defined = {name: one for name, one in found.items() if math.isfinite(one.icc)}
    several = len({filter_class_of(name) for name in defined}) > 1
    panels = [("feature class", feature_class_of)]
    panels += [("filter class", filter_class_of)] if several else []
    figure = Figure(figsize=(9, 3.6 + 3.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1 + len(panels), 1, height_ratios=[1.4] + [1.0] * len(panels))

    classes = list(dict.fromkeys(feature_class_of(name) for name in defined))
    ordered = sorted(defined, key=lambda name: -defined[name].icc)
    for number, kind in enumerate(classes):
        places = [i for i, name in enumerate(ordered) if feature_class_of(name) == kind]
        chosen = [defined[ordered[i]] for i in places]
        colour = f"C{number % 10}"
        axes[0].vlines(
            places, [o.low for o in chosen], [o.high for o in chosen], colors=colour, alpha=0.35
        )
        axes[0].plot(places, [o.icc for o in chosen], ".", color=colour, label=kind)
    for limit in (GOOD, EXCELLENT):
        axes[0].axhline(limit, color="black", linewidth=0.7, linestyle="--")
    lowest = min((one.low for one in defined.values()), default=0.0)
    axes[0].set(
        ylim=(min(0.0, max(-1.0, lowest)), 1.01),
        xlabel="features, most reproducible first",
        ylabel="ICC(1,1) with 95 % interval",
    )
    if classes:
        axes[0].legend(ncols=2, fontsize="small", loc="lower left")
    for axis, (title, class_of) in zip(axes[1:], panels, strict=True):
        _draw_shares(axis, defined, class_of, title)
    figure.savefig(path, dpi=120)


def _draw_shares(axis: Any, defined: Mapping[str, Reliability], class_of: Any, title: str) -> None:
    names = list(dict.fromkeys(class_of(feature) for feature in defined))[::-1]
    for row, name in enumerate(names):
        values = [one.icc for feature, one in defined.items() if class_of(feature) == name]
        best = sum(value >= EXCELLENT for value in values) / len(values)
        good = sum(value >= GOOD for value in values) / len(values)
        parts = ((0.0, best, "#08519c"), (best, good - best, "#6baed6"), (good, 1 - good, "0.85"))
        for start, width, colour in parts:
            axis.barh(row, width, left=start, color=colour)
    labels = [f"ICC ≥ {EXCELLENT:.2f}", f"{GOOD:.2f} to {EXCELLENT:.2f}", f"below {GOOD:.2f}"]
    counts = [sum(class_of(feature) == name for feature in defined) for name in names]
    axis.set_yticks(
        range(len(names)), [f"{name} ({n})" for name, n in zip(names, counts, strict=True)]
    )
    axis.set(xlim=(0, 1), xlabel=f"share of features by {title}")
    if names:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "frameon": False}
        axis.legend(axis.containers[:3], labels, ncols=3, fontsize="small", **place)


def _rounded(one: Reliability) -> dict[str, float | None]:
    """Four digits; None (JSON's null) for what is undefined."""
    values = {"icc": one.icc, "low": one.low, "high": one.high}
    return {name: round(v, 4) if math.isfinite(v) else None for name, v in values.items()}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")
