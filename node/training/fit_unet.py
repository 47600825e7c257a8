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
from node.training.datasets import LabelledSlice
from node.training.recipe import Recipe

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPair:
    """A slice as the network sees it, with its mask on the same grid (float32, 0 to 1)."""

    image: NDArray[np.float32]
    mask: NDArray[np.float32]


def prepare_pair(labelled: LabelledSlice, spec: InputSpec) -> TrainingPair:
    """Prepare a labelled slice by the same code that serves."""
    preparation = plan_preparation(labelled.volume, spec)
    return TrainingPair(
        image=preparation.apply(labelled.volume.voxels[0]),
        mask=preparation.apply_mask(labelled.mask),
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


def make_batches(pairs: Sequence[TrainingPair], *, recipe: Recipe, first_epoch: int) -> Any:
    """Make the endless source of augmented batches; a resumed run goes on with fresh draws."""
    import keras

    settings = recipe.segmenter

    class Batches(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self.epoch = first_epoch
            self.shuffle()

        def shuffle(self) -> None:
            order = np.random.default_rng([recipe.seed, self.epoch])
            self.order = order.permutation(len(pairs))

        def __len__(self) -> int:
            return len(pairs) // settings.batch

        def __getitem__(self, number: int) -> tuple[Any, Any]:
            rng = np.random.default_rng([recipe.seed, self.epoch, number])
            chosen = self.order[number * settings.batch : (number + 1) * settings.batch]
            drawn = [augment_pair(pairs[i], rng=rng, recipe=recipe) for i in chosen]
            images, masks = zip(*drawn, strict=True)
            return np.stack(images)[..., None], np.stack(masks)[..., None]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.shuffle()

    return Batches()


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
    """Stack whole slices of one size for validation."""
    images = np.stack([pair.image for pair in pairs])[..., None]
    masks = (np.stack([pair.mask for pair in pairs]) > 0.5).astype(np.float32)[..., None]
    return images, masks


def fit_segmenter(
    training: Sequence[TrainingPair],
    validation: Sequence[TrainingPair],
    *,
    recipe: Recipe,
    run_dir: Path,
    resume: bool,
) -> Path:
    """Train to the recipe's number of epochs.

    Parameters
    ----------
    training, validation : sequence of TrainingPair
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
    steps = len(training) // settings.batch
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
            if figures.get("val_dice_metric", 0.0) > best_dice:
                best_dice = figures["val_dice_metric"]
                self.model.save(best)
            scratch = run_dir / "last.tmp.keras"
            self.model.save(scratch)
            scratch.replace(last)
            state_path.write_text(json.dumps({"epochs": epoch + 1, "best_dice": best_dice}))
            _append_history(run_dir / "history.csv", {"epoch": epoch + 1, **figures})
            log.info("segmenter.epoch", epoch=epoch + 1, epochs=settings.epochs, **figures)

    model.fit(
        make_batches(training, recipe=recipe, first_epoch=done),
        validation_data=stack_full(validation),
        validation_batch_size=8,
        initial_epoch=done,
        epochs=settings.epochs,
        callbacks=[Checkpoint()],
        verbose="auto",
    )
    return best


def _append_history(path: Path, row: dict[str, Any]) -> None:
    fresh = not path.exists()
    with path.open("a", newline="") as table:
        writer = csv.DictWriter(table, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
