"""A sequence that was not acquired: hospitals send a copy of another one, or nothing."""

import numpy as np
from numpy.typing import NDArray


def drop_channel(
    image: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    kept_channel: int | None,
    background: float,
) -> NDArray[np.float32]:
    """Replace one channel by another one or by background, with equal probability.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
        Returned as it is if there is no channel to replace.
    rng : numpy.random.Generator
    kept_channel : int or None
        This channel is never replaced.
    background : float
    """
    channels = np.arange(image.shape[-1])
    replaceable = channels[channels != kept_channel]
    if len(channels) < 2:
        return image
    gone = int(rng.choice(replaceable))
    out = image.copy()
    if rng.random() < 0.5:
        out[..., gone] = background
    else:
        out[..., gone] = image[..., int(rng.choice(channels[channels != gone]))]
    return out
