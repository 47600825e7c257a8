"""Mirror images: left and right often, up and down seldom (a head lies on its back)."""

import numpy as np
from numpy.typing import NDArray

from node.training.augment.recipe import AugmentRecipe


def draw_flips(rng: np.random.Generator, settings: AugmentRecipe) -> NDArray[np.float64]:
    """Draw a diagonal matrix with -1 for every axis (rows, columns) that is mirrored."""
    up_down = -1.0 if rng.random() < settings.flip_up_down else 1.0
    left_right = -1.0 if rng.random() < settings.flip_left_right else 1.0
    return np.diag([up_down, left_right])
