"""Where the window of a sample lies."""

import numpy as np
from numpy.typing import NDArray

from node.training.augment.recipe import AugmentRecipe


def choose_centre(
    mask: NDArray[np.float32], *, rng: np.random.Generator, settings: AugmentRecipe, size_px: float
) -> NDArray[np.float64]:
    """Draw the middle of a window, in rows and columns of the source.

    Most windows are centred near the lesion, the rest anywhere in the slice: those often hold no
    tumour and teach the network to keep quiet.

    Parameters
    ----------
    mask : ndarray of float32, shape (rows, columns)
    rng : numpy.random.Generator
    settings : AugmentRecipe
    size_px : float
        Extent of the window in pixels of the source.
    """
    shape = np.array(mask.shape)
    middle = (shape - 1) / 2
    rows, columns = np.nonzero(mask > 0.5)
    if rows.size and rng.random() < settings.lesion_share:
        centre = np.array([rows.mean(), columns.mean()])
        centre = centre + rng.uniform(-1, 1, 2) * settings.jitter * size_px
        return np.asarray(centre + rng.uniform(0, 1) * settings.pull * (middle - centre))
    return np.asarray(middle + rng.uniform(-0.5, 0.5, 2) * shape * settings.spread)
