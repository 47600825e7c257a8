"""Random transforms of a normalised slice and its mask, one file each, drawn on the fly."""

from node.training.augment.affine import crop_affine
from node.training.augment.compose import augment
from node.training.augment.recipe import AugmentRecipe, Chance

__all__ = ["AugmentRecipe", "Chance", "augment", "crop_affine"]
