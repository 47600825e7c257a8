"""Losses for small and unsharp lesions, of Keras operations only.

References
----------
Milletari, Navab, Ahmadi: V-Net. 3DV 2016, doi:10.1109/3DV.2016.79 (soft Dice).
Salehi, Erdogmus, Gholipour: Tversky loss. MLMI 2017, doi:10.1007/978-3-319-67389-9_44.
Lin et al.: Focal loss. ICCV 2017, doi:10.1109/ICCV.2017.324.
"""

from collections.abc import Callable
from typing import Any

from node.training.recipe import LossRecipe

#: Weight of the logits of coarser decoder levels, halved from level to level.
SUPERVISION_WEIGHT = 0.5


def make_loss(settings: LossRecipe) -> Callable[[Any, Any], Any]:
    """Make the loss of a recipe: overlap + entropy, heavier near outlines if the recipe says so.

    Returns
    -------
    callable
        Takes masks (batch, rows, columns, 1) and logits (batch, rows, columns, 1 + n), where the
        n further channels are answers of coarser levels.
    """

    def loss(truth: Any, logits: Any) -> Any:
        from keras import ops

        truth = ops.cast(truth, "float32")
        logits = ops.cast(logits, "float32")
        total, weights, weight = 0.0, 0.0, 1.0
        for level in range(logits.shape[-1]):
            total = total + weight * _loss_of(truth, logits[..., level : level + 1], settings)
            weights += weight
            weight = SUPERVISION_WEIGHT if level == 0 else weight / 2
        return total / weights

    return loss


def _loss_of(truth: Any, logits: Any, settings: LossRecipe) -> Any:
    from keras import ops

    axes = (1, 2, 3)
    probability = ops.sigmoid(logits)
    hit = ops.sum(truth * probability, axis=axes)
    missed = ops.sum(truth * (1 - probability), axis=axes)
    false = ops.sum((1 - truth) * probability, axis=axes)
    smooth = settings.smooth_pixels  # keeps windows without lesion from exploding
    overlap = (hit + smooth) / (
        hit + settings.miss_weight * missed + (1 - settings.miss_weight) * false + smooth
    )
    entropy = ops.maximum(logits, 0) - logits * truth + ops.log1p(ops.exp(-ops.abs(logits)))
    if settings.focal_gamma:
        wrong = truth * (1 - probability) + (1 - truth) * probability
        entropy = entropy * ops.power(wrong + 1e-6, settings.focal_gamma)
    if settings.boundary_weight:
        entropy = entropy * (1 + settings.boundary_weight * _boundary(truth))
    return ops.mean(1 - overlap + settings.entropy_weight * ops.mean(entropy, axis=axes))


def _boundary(truth: Any) -> Any:
    """1 within two pixels of the outline of the mask, else 0."""
    from keras import ops

    grown = ops.max_pool(truth, 5, strides=1, padding="same")
    shrunk = -ops.max_pool(-truth, 5, strides=1, padding="same")
    return grown - shrunk


def dice_metric(truth: Any, logits: Any) -> Any:
    """Mean over slices of the Dice coefficient at probability 0.5 (1 when both are empty)."""
    from keras import ops

    truth = ops.cast(truth, "float32")
    predicted = ops.cast(logits[..., :1] > 0, "float32")
    axes = (1, 2, 3)
    overlap = ops.sum(truth * predicted, axis=axes)
    total = ops.sum(truth, axis=axes) + ops.sum(predicted, axis=axes)
    return ops.mean((2 * overlap + 1e-6) / (total + 1e-6))
