"""Local binary patterns on a sphere, by spherical harmonics.

PyRadiomics' own filter needs ``scipy.special.sph_harm``, which SciPy 1.17 no longer has, and it
hands the two angles over in the wrong order. The method is the same: the sphere of one voxel
radius round each voxel is sampled at the vertices of an icosphere; where it is at least as bright
as the centre it counts 1; the norms of the parts of degree 0 and 1 (``m1``, ``m2``) and the
kurtosis of the samples (``k``) are the images.

References
----------
Banerjee et al., 3D LBP-based rotationally invariant region description, ACCV 2012 Workshops,
doi:10.1007/978-3-642-37410-4_3.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import map_coordinates
from scipy.special import sph_harm_y
from scipy.stats import kurtosis
from trimesh.creation import icosphere

from node.radiomics.region import Region

DEGREES = 2


def filter_lbp_3d(region: Region, _: Mapping[str, Any]) -> Iterator[tuple[str, sitk.Image]]:
    """Yield the images ``lbp-3D-m1``, ``lbp-3D-m2`` and ``lbp-3D-k``."""
    voxels = sitk.GetArrayFromImage(region.image).astype(np.float64)
    lesion = np.argwhere(sitk.GetArrayFromImage(region.mask) > 0)
    x, y, z = np.array(icosphere(subdivisions=1, radius=1.0).vertices).T
    points = lesion.T[:, :, None] + np.stack([z, y, x])[:, None, :]
    samples = map_coordinates(voxels, points, order=3, mode="nearest")  # (voxels, vertices)
    # A flat neighbourhood would else be decided by the interpolation's rounding.
    tolerance = 1e-9 * max(float(np.abs(voxels).max()), 1.0)
    signs = (samples >= voxels[tuple(lesion.T)][:, None] - tolerance).astype(np.float64)
    polar, azimuth = np.arccos(np.clip(z, -1, 1)), np.arctan2(y, x)
    values = []
    for degree in range(DEGREES):
        harmonics = [sph_harm_y(degree, m, polar, azimuth) for m in range(-degree, degree + 1)]
        part = sum((signs @ harmonic.conj())[:, None] * harmonic for harmonic in harmonics)
        values.append(np.sqrt(np.sum(np.abs(part) ** 2, axis=1)))
    uneven = np.ptp(samples, axis=1) > tolerance
    tails = np.zeros(len(samples))
    tails[uneven] = kurtosis(samples[uneven], axis=1)
    values.append(tails)
    for name, value in zip(("m1", "m2", "k"), values, strict=True):
        image = np.zeros(voxels.shape)
        image[tuple(lesion.T)] = value
        yield f"lbp-3D-{name}", region.crop(region.like_image(image))
