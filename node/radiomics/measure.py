"""Compute PyRadiomics' feature classes on an image that is cut down to the lesion's box.

References
----------
van Griethuysen et al., Cancer Research 77(21), 2017, doi:10.1158/0008-5472.CAN-17-0339.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import SimpleITK as sitk

from node.radiomics.names import FEATURES_OF_CLASS, SHAPE_CLASSES

#: Grey levels in the lesion beyond which texture is not computed: a co-occurrence matrix has the
#: square of them for each of 13 directions, and hardly two voxels would be alike.
MAXIMUM_LEVELS = 1000


def measure_classes(
    image: sitk.Image, mask: sitk.Image, classes: tuple[str, ...], settings: Mapping[str, Any]
) -> dict[str, float]:
    """Compute all features of the classes.

    Parameters
    ----------
    image : sitk.Image
        Three axes; the lesion's box.
    mask : sitk.Image of uint32
        1 in the lesion, on the same grid.
    classes : tuple of str
        Keys of ``FEATURES_OF_CLASS``.
    settings : mapping
        PyRadiomics' settings (``binWidth`` or ``binCount``, ``force2D``, ``weightingNorm`` ...).

    Returns
    -------
    dict of str to float
        ``<class>_<feature>`` -> value; NaN where it is undefined.
    """
    from radiomics import getFeatureClasses  # deferred: it loads slowly

    inside = sitk.GetArrayViewFromImage(image)[sitk.GetArrayViewFromImage(mask) == 1]
    values = {f"{name}_{each}": np.nan for name in classes for each in FEATURES_OF_CLASS[name]}
    readable = np.isfinite(inside).all() and _count_levels(inside, settings) <= MAXIMUM_LEVELS
    for name in classes:
        if name == "energy":
            values["energy_Mean"] = float(np.mean(np.square(inside, dtype=np.float64)))
        elif readable or name in SHAPE_CLASSES:
            try:
                found = getFeatureClasses()[name](image, mask, **settings).execute()
            except (ValueError, RuntimeError, IndexError):
                continue  # PyRadiomics refuses masks that have no mesh or no neighbours
            values |= {f"{name}_{each}": float(value) for each, value in found.items()}
    return {name: value if np.isfinite(value) else np.nan for name, value in values.items()}


def _count_levels(inside: np.ndarray, settings: Mapping[str, Any]) -> float:
    if settings.get("binCount") is not None:
        return float(settings["binCount"])
    return float(np.ptp(inside)) / float(settings["binWidth"])
