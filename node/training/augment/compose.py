"""One augmented sample: geometry first, then intensities, then what is missing."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from node.training.augment.affine import crop_affine
from node.training.augment.bias_field import add_bias_field
from node.training.augment.blur import blur
from node.training.augment.contrast import change_contrast
from node.training.augment.gamma import change_gamma
from node.training.augment.low_resolution import lower_resolution
from node.training.augment.missing_channel import drop_channel
from node.training.augment.noise import add_noise
from node.training.augment.recipe import AugmentRecipe
from node.training.augment.sharpen import sharpen
from node.training.augment.shift import shift_intensity


def augment(
    image: NDArray[np.float32],
    mask: NDArray[np.float32],
    *,
    rng: np.random.Generator,
    settings: AugmentRecipe,
    limits: tuple[float, float] = (-3.0, 6.0),
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw one sample.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
        Normalised intensities; the lower limit is background.
    mask : ndarray of float32, shape (rows, columns)
    rng : numpy.random.Generator
        Decides everything: the same state, the same sample.
    settings : AugmentRecipe
    limits : tuple of float
        Intensities are clipped to these.

    Returns
    -------
    image : ndarray of float32, shape (crop, crop, channels)
    mask : ndarray of float32, shape (crop, crop)
        0 or 1.
    """
    low, high = limits
    window, window_mask = crop_affine(
        image, mask, rng=rng, size=settings.crop, background=low, settings=settings
    )
    intensities = settings.intensity_channels or window.shape[-1]
    changed = change_intensities(window[..., :intensities], rng=rng, settings=settings)
    changed = np.clip(changed, low, high)
    if rng.random() < settings.missing_channel:
        changed = drop_channel(changed, rng, kept_channel=settings.kept_channel, background=low)
    return np.concatenate([changed, window[..., intensities:]], axis=-1), window_mask


def change_intensities(
    image: NDArray[np.float32], *, rng: np.random.Generator, settings: AugmentRecipe
) -> NDArray[np.float32]:
    """Apply the intensity transforms in the order in which a scanner would.

    Tissue contrast, coil, resolution, noise of the receiver, filters of the console.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns, channels)
    rng : numpy.random.Generator
    settings : AugmentRecipe
    """
    noise = partial(add_noise, rician_share=settings.rician_share)
    for transform, chance in (
        (change_gamma, settings.gamma),
        (change_contrast, settings.contrast),
        (shift_intensity, settings.shift),
        (add_bias_field, settings.bias_field),
        (blur, settings.blur),
        (lower_resolution, settings.low_resolution),
        (noise, settings.noise),
        (sharpen, settings.sharpen),
    ):
        if rng.random() < chance.probability:
            image = transform(image, rng, strength=chance.strength)
    return image
