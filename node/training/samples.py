"""``onconode train samples``: a picture of augmented samples with their masks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from node.domain.errors import SetupFault
from node.evaluation.plots import COLOURS, GREY, new_figure, save_png
from node.training.augment import augment
from node.training.batches import TrainingPair
from node.training.datasets.labelled import LabelledCase
from node.training.recipe import Recipe, load_recipe
from node.training.segmenter import limits_of, prepare_part, read_dataset, split_cases

log = structlog.get_logger()

_CELL_IN = 1.7


def draw_samples(
    recipe_path: Path, *, data_dir: Path, out: Path, cases: int, count: int, seed: int
) -> Path:
    """Draw samples of a few training patients as the training of a recipe does.

    Parameters
    ----------
    recipe_path, data_dir : Path
    out : Path
        PNG to write.
    cases, count : int
        Rows of the picture, and samples in each beside the prepared slice.
    seed : int

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    SetupFault
        If the data set has no training patient with a lesion.
    """
    recipe = load_recipe(recipe_path)
    rng = np.random.default_rng(seed)
    pairs = choose_pairs(recipe, read_dataset(recipe, data_dir), count=cases, rng=rng)
    if not pairs:
        raise SetupFault("no training patient of the data set has a lesion")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(plot_samples(recipe, pairs, count=count, seed=seed))
    log.info("samples.drawn", file=out.name, slices=len(pairs), samples=len(pairs) * count)
    return out


def choose_pairs(
    recipe: Recipe, cases: Sequence[LabelledCase], *, count: int, rng: np.random.Generator
) -> dict[str, TrainingPair]:
    """Choose cases of as many training patients and kinds as there are, on the last phase's grid.

    Returns
    -------
    dict of str to TrainingPair
        The slice with most lesion, by the name of its case.
    """
    parts = split_cases(cases, recipe)
    of_kind: dict[str, list[LabelledCase]] = {}
    seen = set()
    for i in rng.permutation(len(cases)):
        item = cases[i]
        is_new = item.patient not in seen and parts[item.patient] == "train"
        if is_new and item.mask.any():
            seen.add(item.patient)
            of_kind.setdefault(item.tumour_type or str(item.malignant), []).append(item)
    chosen: list[LabelledCase] = []
    while len(chosen) < count and any(of_kind.values()):
        for kind in sorted(of_kind):
            if of_kind[kind] and len(chosen) < count:
                chosen.append(of_kind[kind].pop(0))
    pairs = {}
    for item in chosen:
        slices = prepare_part(recipe, [item], recipe.segmenter.phases[-1])
        if slices:
            title = " ".join(part for part in (item.tumour_type, item.identifier) if part)
            pairs[title] = max(slices, key=lambda pair: float(pair.mask.sum()))
    return pairs


def plot_samples(recipe: Recipe, pairs: dict[str, TrainingPair], *, count: int, seed: int) -> bytes:
    """Plot prepared slices and samples of them, all channels side by side, as PNG."""
    phase = recipe.segmenter.phases[-1]
    settings = recipe.segmenter.augment.model_copy(update={"crop": phase.crop})
    limits = limits_of(recipe)
    channels = next(iter(pairs.values())).image.shape[-1]
    width_in = (1 + count) * _CELL_IN * channels
    figure = new_figure(width_in, len(pairs) * (_CELL_IN + 0.25))
    grid = figure.subplots(len(pairs), 1 + count, squeeze=False)
    for row, (title, pair) in enumerate(pairs.items()):
        _show(grid[row, 0], pair.image, pair.mask, limits)
        grid[row, 0].set_title(title, fontsize=7, color=GREY)
        for number in range(count):
            rng = np.random.default_rng([seed, row, number])
            image, mask = augment(pair.image, pair.mask, rng=rng, settings=settings, limits=limits)
            _show(grid[row, 1 + number], image, mask, limits)
            grid[row, 1 + number].set_title(f"sample {number + 1}", fontsize=7, color=GREY)
    return save_png(figure)


def _show(
    axes: Any,
    image: NDArray[np.float32],
    mask: NDArray[np.float32],
    limits: tuple[float, float],
) -> None:
    channels = image.shape[-1]
    strip = np.concatenate([image[..., c] for c in range(channels)], axis=1)
    axes.imshow(strip, cmap="gray", vmin=limits[0], vmax=limits[1], interpolation="nearest")
    if mask.max() > 0.5:
        outlines = np.tile(mask, (1, channels))
        axes.contour(outlines, levels=[0.5], colors=[COLOURS[4]], linewidths=0.8)
    axes.set_axis_off()
