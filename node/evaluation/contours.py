"""Other contours of the same lesion: larger, smaller, or along other edges of the image.

References
----------
Zwanenburg et al., Sci Rep 9:614, 2019, doi:10.1038/s41598-018-36938-4 (volume adaptation and
contour randomisation); Achanta et al. (SLIC), IEEE Trans Pattern Anal Mach Intell 34(11), 2012,
doi:10.1109/TPAMI.2012.120.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import slic

#: Volume of a supervoxel in the paper, whose lesions (lung, head and neck) hold dozens of them.
SUPERVOXEL_MM3 = 500.0
#: Smaller lesions are cut into so many supervoxels, so that two drawn contours agree about as well
#: as two readers do (Dice near 0.9); a supervoxel never has fewer voxels than the second number.
SUPERVOXELS_IN_LESION = 40
VOXELS_IN_SUPERVOXEL = 8
#: The first is the paper's. Where noise outweighs the contrast, supervoxels come out in shreds that
#: SLIC merges to a few shapeless ones; then a larger value holds them together.
COMPACTNESS = (0.05, 0.2, 0.8)
#: A supervoxel that lies in the lesion with less than the first share of its voxels never counts
#: as lesion, from the second share on it always does; between them the share is the probability.
NEVER, ALWAYS = 0.2, 0.9


def change_volume(
    mask: NDArray[np.bool_],
    fraction: float,
    *,
    spacing_mm: tuple[float, ...],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Grow or shrink a mask along its surface to ``1 + fraction`` of its voxels.

    Voxels are taken in the order of their signed distance to the surface; of those at one
    distance the generator chooses.
    """
    count = round(float(np.count_nonzero(mask)) * (1 + fraction))
    count = min(max(count, 1), mask.size)
    depth = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    depth = depth - ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    depth += 1e-6 * min(spacing_mm) * rng.random(mask.shape)
    chosen = np.argpartition(depth, mask.size - count, axis=None)[mask.size - count :]
    changed = np.zeros(mask.size, bool)
    changed[chosen] = True
    return changed.reshape(mask.shape)


def randomise_contour(
    image: NDArray[Any],
    mask: NDArray[np.bool_],
    *,
    spacing_mm: tuple[float, ...],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Draw a contour that follows supervoxels of the image.

    Parameters
    ----------
    image, mask : ndarray, shape (z, y, x) or (y, x)
        Region round the lesion; the mask is not empty.
    spacing_mm : tuple of float
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of bool
        In one piece, never empty.
    """
    labels = _segment_supervoxels(image, mask, spacing_mm=spacing_mm)
    share = ndimage.mean(mask, labels, np.arange(1, labels.max() + 1))
    probability = np.where(share >= ALWAYS, 1.0, np.where(share < NEVER, 0.0, share))
    probability[np.argmax(share)] = 1.0
    chosen = np.concatenate([[False], rng.random(len(share)) < probability])
    # Padding lets the closing reach the rim of a cut-out, where lesions may well lie.
    drawn = ndimage.binary_closing(np.pad(chosen[labels], 1))
    return keep_largest(drawn[(slice(1, -1),) * mask.ndim])


def keep_largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece, as a lesion of the node is one piece."""
    pieces, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    if count < 2:
        return mask
    return np.asarray(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))


def _segment_supervoxels(
    image: NDArray[Any], mask: NDArray[np.bool_], *, spacing_mm: tuple[float, ...]
) -> NDArray[np.int64]:
    # In a plane the paper's cubes become squares with the same edge.
    largest = SUPERVOXEL_MM3 ** (mask.ndim / 3) / float(np.prod(spacing_mm))
    voxels = min(largest, np.count_nonzero(mask) / SUPERVOXELS_IN_LESION)
    wanted = max(1, round(image.size / max(voxels, VOXELS_IN_SUPERVOXEL)))
    inside = image[mask]
    low, high = float(inside.min()), float(inside.max())
    margin = 0.1 * max(high - low, 1e-6)
    window = np.clip(np.asarray(image, np.float32), low - margin, high + margin)
    for compactness in COMPACTNESS:
        labels: NDArray[np.int64] = slic(
            window,
            n_segments=wanted,
            compactness=compactness,
            sigma=min(spacing_mm),
            spacing=spacing_mm,
            channel_axis=None,
            start_label=1,
        )
        if labels.max() >= wanted / 2:
            break
    return labels
