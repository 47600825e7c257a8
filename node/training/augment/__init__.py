"""Random transforms of a normalised slice and its mask, one file each, drawn on the fly."""

from node.training.augment.affine import crop_affine
from node.training.augment.bias_field import add_bias_field
from node.training.augment.blur import blur
from node.training.augment.gamma import change_gamma
from node.training.augment.noise import add_noise

#: Intensity transforms with the probability of each; the geometric one always comes first.
INTENSITY = ((change_gamma, 0.5), (add_bias_field, 0.3), (blur, 0.2), (add_noise, 0.3))

__all__ = ["INTENSITY", "crop_affine"]
