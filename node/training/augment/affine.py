"""Random crop with flip, rotation and scaling, in one interpolation."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def crop_affine(
    image: NDArray[np.float32],
    mask: NDArray[np.float32],
    *,
    rng: np.random.Generator,
    size: int,
    background: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a window of ``size`` x ``size`` pixels, turned and scaled.

    Three windows in four are centred near the lesion, the rest anywhere in the slice: those
    often hold no tumour and teach the network to keep quiet.
    """
    rows, columns = np.nonzero(mask > 0.5)
    middle = (np.array(image.shape) - 1) / 2
    if rows.size and rng.random() < 0.75:
        centre = np.array([rows.mean(), columns.mean()]) + rng.uniform(-0.4, 0.4, 2) * size
        centre += rng.uniform(0, 0.6) * (middle - centre)
    else:
        centre = middle + rng.uniform(-0.5, 0.5, 2) * np.array(image.shape) * 0.6
    angle = np.deg2rad(rng.normal(0, 12))
    scale = np.exp(rng.uniform(-0.3, 0.3))
    cosine, sine = np.cos(angle), np.sin(angle)
    matrix = scale * np.array([[cosine, -sine], [sine, cosine]])
    matrix = matrix @ np.diag([-1 if rng.random() < 0.1 else 1, -1 if rng.random() < 0.5 else 1])
    offset = centre - matrix @ np.full(2, (size - 1) / 2)
    out = [
        ndimage.affine_transform(
            block, matrix, offset, output_shape=(size, size), order=1, cval=fill
        )
        for block, fill in ((image, background), (mask, 0.0))
    ]
    return out[0], (out[1] > 0.5).astype(np.float32)
