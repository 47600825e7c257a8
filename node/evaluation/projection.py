"""Draw the training lesions on their planes, with the current case among them."""

import numpy as np

from node.classify.projection import NEIGHBOURS, Placement, Projection
from node.evaluation.plots import COLOURS, GREY, new_figure, save_png, tidy


def plot_projection(
    projection: Projection, placements: dict[str, Placement] | None = None
) -> bytes:
    """Plot both planes side by side as PNG.

    Parameters
    ----------
    projection : Projection
    placements : dict of str to Placement, optional
        Cases to mark: name (e.g. ``"lesion 1"``) -> place.
    """
    figure = new_figure(10.0, 5.0)
    left, right = figure.subplots(1, 2)
    planes = (
        (left, projection.pca, "pca", "PCA"),
        (right, projection.tsne, "tsne", "t-SNE: distances between clusters mean nothing"),
    )
    for axes, points, kind, title in planes:
        tidy(axes)
        axes.grid(visible=False)
        for colour, label in zip(COLOURS, np.unique(projection.labels), strict=False):
            rows = projection.labels == label
            axes.plot(
                points[rows, 0],
                points[rows, 1],
                "o",
                color=colour,
                alpha=0.5,
                ms=4,
                mew=0,
                label=label,
            )
        for name, placement in (placements or {}).items():
            x, y = getattr(placement, kind)
            axes.plot(x, y, "*", color="black", ms=15, mec="white")
            axes.annotate(name, (x, y), (8, 6), textcoords="offset points", fontweight="bold")
        axes.set_title(title, fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
    for draw_label, name, share in zip(
        (left.set_xlabel, left.set_ylabel), ("first", "second"), projection.explained, strict=True
    ):
        draw_label(f"{name} component, {share:.0%} of the variance", fontsize=9)
    left.legend(frameon=False, fontsize=9, title=f"{len(projection.labels)} training lesions")
    note = f"Each plane is made from {len(projection.names)} scaled features."
    if placements:
        note += (
            f" t-SNE cannot map a new case: the star is the weighted mean of its {NEIGHBOURS} "
            "nearest training lesions in feature space."
        )
        undefined = [f"{name}: {p.undefined}" for name, p in placements.items() if p.undefined]
        if undefined:
            note += f" Undefined features taken as the median: {', '.join(undefined)}."
    figure.supxlabel(note, fontsize=8, color=GREY, wrap=True)
    return save_png(figure)
