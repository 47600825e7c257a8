"""Train the segmenter: a resumable run in a folder, with a checkpoint after every epoch."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from node.segment.preprocess import InputSpec, plan_preparation
from node.segment.unet import UNetSpec, build_unet
from node.training.augment import INTENSITY, crop_affine
from node.training.datasets.labelled import LabelledCase
from node.training.recipe import Recipe

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPair:
    """A slice as the network sees it, with its mask on the same grid (float32, 0 to 1)."""

    image: NDArray[np.float32]
    mask: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """Slices with a tumour, and slices without."""

    positives: Sequence[TrainingPair]
    negatives: Sequence[TrainingPair]


def prepare_pair(labelled: LabelledCase, spec: InputSpec) -> TrainingPair:
    """Prepare a labelled slice by the same code that serves."""
    preparation = plan_preparation(labelled.volume, spec)
    return TrainingPair(
        image=preparation.apply(labelled.volume.voxels[0]),
        mask=preparation.apply_mask(labelled.mask[0]),
    )


def dice_and_cross_entropy(truth: Any, logits: Any) -> Any:
    """Mean over the batch of (1 - soft Dice) + binary cross-entropy; small lesions count fully.

    References
    ----------
    Milletari, Navab, Ahmadi: V-Net. 3DV 2016, doi:10.1109/3DV.2016.79 (soft Dice).
    """
    from keras import ops

    truth = ops.cast(truth, "float32")
    logits = ops.cast(logits, "float32")
    probability = ops.sigmoid(logits)
    axes = (1, 2, 3)
    overlap = ops.sum(truth * probability, axis=axes)
    total = ops.sum(truth, axis=axes) + ops.sum(probability, axis=axes)
    dice = (2 * overlap + 10.0) / (total + 10.0)  # 10 pixels keep empty crops from exploding
    entropy = ops.mean(
        ops.maximum(logits, 0) - logits * truth + ops.log1p(ops.exp(-ops.abs(logits))), axis=axes
    )
    return ops.mean(1 - dice + 2 * entropy)


def dice_metric(truth: Any, logits: Any) -> Any:
    """Mean over slices of the Dice coefficient at probability 0.5 (1 when both are empty)."""
    from keras import ops

    truth = ops.cast(truth, "float32")
    predicted = ops.cast(logits > 0, "float32")
    axes = (1, 2, 3)
    overlap = ops.sum(truth * predicted, axis=axes)
    total = ops.sum(truth, axis=axes) + ops.sum(predicted, axis=axes)
    return ops.mean((2 * overlap + 1e-6) / (total + 1e-6))


def make_batches(training: TrainingSet, *, recipe: Recipe, first_epoch: int) -> Any:
    """Make the source of augmented batches; every draw follows from seed, epoch and batch.

    From the recipe's epoch on, a share of every batch is tumour-free. An epoch has as many batches
    as the slices with a tumour fill.
    """
    import keras

    settings = recipe.segmenter

    class Batches(keras.utils.PyDataset):  # type: ignore[misc,unused-ignore]  # Keras has no types
        def __init__(self) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self.epoch = first_epoch
            self.shuffle()

        def shuffle(self) -> None:
            rng = np.random.default_rng([recipe.seed, self.epoch])
            self.positives = rng.permutation(len(training.positives))
            self.negatives = rng.permutation(len(training.negatives))

        def __len__(self) -> int:
            return len(training.positives) // settings.batch

        def __getitem__(self, number: int) -> tuple[Any, Any]:
            rng = np.random.default_rng([recipe.seed, self.epoch, number])
            mixed = training.negatives and self.epoch >= settings.negatives_from_epoch
            quiet = round(settings.negative_share * settings.batch) if mixed else 0
            chosen = [
                training.positives[i]
                for i in _window(self.positives, number, settings.batch - quiet)
            ] + [training.negatives[i] for i in _window(self.negatives, number, quiet)]
            drawn = [augment_pair(pair, rng=rng, recipe=recipe) for pair in chosen]
            images, masks = zip(*drawn, strict=True)
            return np.stack(images)[..., None], np.stack(masks)[..., None]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.shuffle()

    return Batches()


def _window(order: NDArray[np.int64], number: int, size: int) -> NDArray[np.int64]:
    """Take the n-th window of an order, beginning again at its end."""
    return np.take(order, np.arange(number * size, (number + 1) * size), mode="wrap")


def augment_pair(
    pair: TrainingPair, *, rng: np.random.Generator, recipe: Recipe
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw one augmented crop and its mask."""
    image, mask = crop_affine(
        pair.image,
        pair.mask,
        rng=rng,
        size=recipe.segmenter.crop,
        background=recipe.input.clip_low,
    )
    for transform, probability in INTENSITY:
        if rng.random() < probability:
            image = transform(image, rng)
    return np.clip(image, recipe.input.clip_low, recipe.input.clip_high), mask


def stack_full(pairs: Sequence[TrainingPair]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stack whole slices for validation, padded to the size of the largest."""
    rows, columns = np.max([pair.image.shape for pair in pairs], axis=0)
    images = np.zeros((len(pairs), rows, columns, 1), np.float32)
    masks = np.zeros_like(images)
    for i, pair in enumerate(pairs):
        height, width = pair.image.shape
        images[i] = pair.image.min()
        images[i, :height, :width, 0] = pair.image
        masks[i, :height, :width, 0] = pair.mask > 0.5
    return images, masks


def fit_segmenter(
    training: TrainingSet,
    validation: TrainingSet,
    *,
    recipe: Recipe,
    run_dir: Path,
    resume: bool,
) -> Path:
    """Train to the recipe's number of epochs.

    Parameters
    ----------
    training, validation : TrainingSet
        Tumour-free validation slices count with a Dice of 1 or 0, from the epoch on that they are
        trained with; the best network is the one with the highest mean over all.
    recipe : Recipe
    run_dir : Path
        Receives ``last.keras``, ``best.keras`` (highest validation Dice), ``history.csv`` and
        ``state.json``.
    resume : bool
        Go on from ``last.keras`` if it is there.

    Returns
    -------
    Path
        The best network so far.
    """
    import keras

    settings = recipe.segmenter
    run_dir.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(recipe.seed)
    keras.mixed_precision.set_global_policy(settings.precision)
    steps = len(training.positives) // settings.batch
    schedule = keras.optimizers.schedules.CosineDecay(
        1e-5,
        decay_steps=max(1, steps * settings.epochs - steps),
        warmup_target=settings.learning_rate,
        warmup_steps=steps,
        alpha=0.01,
    )
    state_path, last, best = run_dir / "state.json", run_dir / "last.keras", run_dir / "best.keras"
    done, best_dice = 0, -1.0
    if resume and last.exists():
        state = json.loads(state_path.read_text())
        done, best_dice = state["epochs"], state["best_dice"]
        model = keras.models.load_model(
            last,
            custom_objects={
                "dice_and_cross_entropy": dice_and_cross_entropy,
                "dice_metric": dice_metric,
            },
        )
    else:
        model = build_unet(
            UNetSpec(filters=settings.filters, blocks=settings.blocks, dropout=settings.dropout)
        )
        model.compile(
            optimizer=keras.optimizers.AdamW(
                schedule, weight_decay=settings.weight_decay, global_clipnorm=1.0
            ),
            loss=dice_and_cross_entropy,
            metrics=[dice_metric],
        )

    class Checkpoint(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            nonlocal best_dice
            figures = {name: float(value) for name, value in (logs or {}).items()}
            if training.negatives and epoch == settings.negatives_from_epoch:
                best_dice = -1.0  # from here on other slices are judged
            if figures.get("val_dice_metric", 0.0) > best_dice:
                best_dice = figures["val_dice_metric"]
                self.model.save(best)
            scratch = run_dir / "last.tmp.keras"
            self.model.save(scratch)
            scratch.replace(last)
            state_path.write_text(json.dumps({"epochs": epoch + 1, "best_dice": best_dice}))
            _append_history(run_dir / "history.csv", {"epoch": epoch + 1, **figures})
            log.info("segmenter.epoch", epoch=epoch + 1, epochs=settings.epochs, **figures)

    def fit(until: int, judged: Sequence[TrainingPair]) -> None:
        nonlocal done
        if done >= until:
            return
        model.fit(
            make_batches(training, recipe=recipe, first_epoch=done),
            validation_data=stack_full(judged),
            validation_batch_size=8,
            initial_epoch=done,
            epochs=until,
            callbacks=[Checkpoint()],
            verbose="auto",
        )
        done = until

    if training.negatives:
        fit(min(settings.negatives_from_epoch, settings.epochs), validation.positives)
    fit(settings.epochs, [*validation.positives, *validation.negatives])
    return best


def _append_history(path: Path, row: dict[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as table:
        writer = csv.DictWriter(table, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
