"""Low resolution: a coarser matrix, interpolated by the scanner or by a viewer."""

import numpy as np
from numpy.typing import NDArray

from node.segment.preprocess import resize
from node.training.augment.channels import change_each


def lower_resolution(
    image: NDArray[np.float32], rng: np.random.Generator, *, strength: float = 2.5
) -> NDArray[np.float32]:
    """Resample each channel to a coarser grid and back; the mask keeps its resolution.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    strength : float
        Largest factor between the pixel spacings (at least 1). One sample in three is coarse
        along one axis only, as with fewer phase-encoding steps.
    """

    def change(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        factors = np.full(2, rng.uniform(1, max(1.0, strength)))
        if rng.random() < 1 / 3:
            factors[rng.integers(2)] = 1
        rows, columns = np.maximum(np.rint(np.array(plane.shape) / factors), 1).astype(int)
        coarse = resize(plane, (int(rows), int(columns)))
        return resize(coarse, (plane.shape[0], plane.shape[1]))

    return change_each(image, change)
