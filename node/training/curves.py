"""The curves of a run: ``history.csv`` row by row, and a picture of it."""

import csv
from collections.abc import Mapping
from pathlib import Path


def append_history(path: Path, row: Mapping[str, float]) -> None:
    """Add the figures of an epoch."""
    fresh = not path.exists()
    with path.open("a", newline="") as table:
        writer = csv.DictWriter(table, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def draw_curves(history: Path, picture: Path) -> None:
    """Draw loss and Dice over the epochs, training and validation."""
    from matplotlib.figure import Figure  # deferred: it loads slowly

    with history.open(newline="") as table:
        rows = list(csv.DictReader(table))
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.subplots(1, 2)
    epochs = [int(row["epoch"]) for row in rows]
    for panel, (name, label) in zip(axes, (("loss", "loss"), ("dice_metric", "Dice")), strict=True):
        for key, style in ((name, "--"), (f"val_{name}", "-")):
            points = [float(row[key]) if row.get(key) else float("nan") for row in rows]
            part = "validation" if key.startswith("val_") else "training, augmented"
            panel.plot(epochs, points, style, label=part)
        panel.set_xlabel("epoch")
        panel.set_ylabel(label)
        panel.grid(alpha=0.3)
        panel.legend()
    figure.savefig(picture, dpi=110)
