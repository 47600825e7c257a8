"""Augmented batches, drawn on the fly: every draw follows from seed, epoch and batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from node.training.augment import augment
from node.training.augment.recipe import AugmentRecipe
from node.training.recipe import SegmenterRecipe


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingPair:
    """What the network sees of a slice, and its mask on the same grid.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    mask : ndarray of float32, shape (rows, columns)
        0 to 1.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """Slices with a lesion, and slices without."""

    positives: Sequence[TrainingPair]
    negatives: Sequence[TrainingPair]


def count_steps(training: TrainingSet, settings: SegmenterRecipe) -> int:
    """Batches of an epoch: as many as the slices with a lesion fill, at least one."""
    return max(1, len(training.positives) // settings.batch)


def make_batches(
    training: TrainingSet,
    *,
    settings: SegmenterRecipe,
    augmentation: AugmentRecipe,
    limits: tuple[float, float],
    seed: int,
    first_epoch: int,
) -> Any:
    """Make the source of batches for ``keras.Model.fit``.

    From the recipe's epoch on, a share of every batch is free of lesions.

    Parameters
    ----------
    training : TrainingSet
    settings : SegmenterRecipe
    augmentation : AugmentRecipe
        With the crop of the phase.
    limits : tuple of float
        To which intensities are clipped.
    seed, first_epoch : int
    """
    import keras

    class Batches(keras.utils.PyDataset):  # type: ignore[misc,unused-ignore]  # Keras has no types
        def __init__(self) -> None:
            super().__init__(workers=1, use_multiprocessing=False)
            self.epoch = first_epoch
            self.shuffle()

        def shuffle(self) -> None:
            rng = np.random.default_rng([seed, self.epoch])
            self.positives = rng.permutation(len(training.positives))
            self.negatives = rng.permutation(len(training.negatives))

        def __len__(self) -> int:
            return count_steps(training, settings)

        def __getitem__(self, number: int) -> tuple[Any, Any]:
            rng = np.random.default_rng([seed, self.epoch, number])
            mixed = training.negatives and self.epoch >= settings.negatives_from_epoch
            quiet = round(settings.negative_share * settings.batch) if mixed else 0
            chosen = [
                training.positives[i]
                for i in _window(self.positives, number, settings.batch - quiet)
            ] + [training.negatives[i] for i in _window(self.negatives, number, quiet)]
            drawn = [
                augment(pair.image, pair.mask, rng=rng, settings=augmentation, limits=limits)
                for pair in chosen
            ]
            images, masks = zip(*drawn, strict=True)
            return np.stack(images), np.stack(masks)[..., None]

        def on_epoch_end(self) -> None:
            self.epoch += 1
            self.shuffle()

    return Batches()


def _window(order: NDArray[np.int64], number: int, size: int) -> NDArray[np.int64]:
    """Take the n-th window of an order, beginning again at its end."""
    return np.take(order, np.arange(number * size, (number + 1) * size), mode="wrap")


def stack_full(
    pairs: Sequence[TrainingPair], *, limit: int, background: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Stack whole slices for validation, at most ``limit``, padded to the size of the largest."""
    if len(pairs) > limit:
        pairs = [pairs[i] for i in np.linspace(0, len(pairs) - 1, limit).astype(int)]
    rows, columns, channels = np.max([pair.image.shape for pair in pairs], axis=0)
    images = np.full((len(pairs), rows, columns, channels), background, np.float32)
    masks = np.zeros((len(pairs), rows, columns, 1), np.float32)
    for i, pair in enumerate(pairs):
        height, width, _ = pair.image.shape
        images[i, :height, :width] = pair.image
        masks[i, :height, :width, 0] = pair.mask > 0.5
    return images, masks
