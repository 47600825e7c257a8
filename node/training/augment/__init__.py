"""Random transforms of a normalised slice and its mask, one file each, drawn on the fly."""

from node.training.augment.affine import crop_affine
from node.training.augment.compose import augment, change_intensities
from node.training.augment.recipe import AugmentRecipe, Chance

#: All intensity transforms on a slice (rows, columns), until ``fit_unet`` calls ``augment``.
INTENSITY = (
    (
        lambda image, rng: change_intensities(image[..., None], rng=rng, settings=AugmentRecipe())[
            ..., 0
        ],
        1.0,
    ),
)

__all__ = ["INTENSITY", "AugmentRecipe", "Chance", "augment", "crop_affine"]
