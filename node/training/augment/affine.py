"""Random crop with flip, rotation, scaling and elastic deformation, in one interpolation."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from node.training.augment.elastic import draw_displacement
from node.training.augment.flips import draw_flips
from node.training.augment.recipe import AugmentRecipe
from node.training.augment.window import choose_centre

DEFAULT = AugmentRecipe()


def crop_affine(
    image: NDArray[np.float32],
    mask: NDArray[np.float32],
    *,
    rng: np.random.Generator,
    size: int,
    background: float,
    settings: AugmentRecipe = DEFAULT,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a window of ``size`` x ``size`` pixels, mirrored, turned, scaled and bent.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, columns) or (rows, columns, channels)
    mask : ndarray of float32, shape (rows, columns)
        Shares of each pixel's area, 0 to 1.
    rng : numpy.random.Generator
    size : int
        Rows and columns of the window.
    background : float
        What lies outside the image, in its intensity channels; the other channels go on as at
        their edge.
    settings : AugmentRecipe

    Returns
    -------
    image : ndarray of float32, shape (size, size) or (size, size, channels)
    mask : ndarray of float32, shape (size, size)
        0 or 1.
    """
    centre = choose_centre(mask, rng=rng, settings=settings, size_px=size)
    angle = np.deg2rad(rng.normal(0, 1) * settings.angle_deg)
    scale = np.exp(rng.uniform(-1, 1) * settings.scale)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = scale * np.array([[cosine, -sine], [sine, cosine]]) @ draw_flips(rng, settings)
    offset = centre - matrix @ np.full(2, (size - 1) / 2)
    places = None
    if rng.random() < settings.elastic.probability:
        bent = draw_displacement(size, rng, strength=settings.elastic.strength)
        bent += np.indices((size, size), np.float32)
        places = np.tensordot(matrix, bent, axes=1) + offset[:, None, None]

    def sample(plane: NDArray[np.float32], mode: str, fill: float) -> NDArray[np.float32]:
        out: NDArray[np.float32]
        if places is None:
            out = ndimage.affine_transform(
                plane, matrix, offset, (size, size), order=1, mode=mode, cval=fill
            )
        else:
            out = ndimage.map_coordinates(plane, places, order=1, mode=mode, cval=fill)
        return out

    window = (sample(mask, "constant", 0.0) > 0.5).astype(np.float32)
    if image.ndim == 2:
        return sample(image, "constant", background), window
    planes = [
        sample(np.ascontiguousarray(image[..., c]), mode, background)
        for c, mode in enumerate(_edges_of(image.shape[-1], settings))
    ]
    return np.stack(planes, axis=-1), window


def _edges_of(channels: int, settings: AugmentRecipe) -> list[str]:
    """How each channel goes on outside the image."""
    intensities = settings.intensity_channels or channels
    return ["constant" if c < intensities else "nearest" for c in range(channels)]
