"""Intensity transforms act on one channel at a time, each with its own draw."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


def change_each(image: NDArray[np.float32], change: Callable[[Plane], Plane]) -> Plane:
    """Apply a change to every channel of an image (rows, columns, channels).

    Sequences of a study were scanned one after the other: their gain, noise and field differ.
    """
    planes = [change(np.ascontiguousarray(image[..., c])) for c in range(image.shape[-1])]
    return np.stack(planes, axis=-1).astype(np.float32, copy=False)
