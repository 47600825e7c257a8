"""NIfTI, NRRD and other files that SimpleITK reads -> voxels and grid."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from node.domain.errors import InputRejected
from node.domain.geometry import Geometry
from node.training.datasets.read_set import fault
from node.volume.resample import from_simpleitk


def read_image_file(path: Path) -> tuple[NDArray[Any], Geometry]:
    """Read an image.

    NIfTI's RAS and NRRD's spaces are turned to LPS by SimpleITK.

    Returns
    -------
    ndarray of int16 where that is exact, else float32, shape (z, y, x)
    Geometry

    Raises
    ------
    InputRejected
        If the file cannot be read, is no three-dimensional image of one channel, or holds values
        that are not finite.
    """
    array, geometry = _read(path)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputRejected(
            [fault("not-finite", path.name, found="NaN or infinite values", expected="numbers")]
        )
    limits = np.iinfo(np.int16)
    is_whole = array.dtype.kind in "iub" or bool((array == np.rint(array)).all())
    if is_whole and limits.min <= array.min() and array.max() <= limits.max:
        return array.astype(np.int16), geometry
    return array.astype(np.float32), geometry


def read_mask_file(path: Path, values: Collection[int]) -> tuple[NDArray[np.bool_], Geometry]:
    """Read a mask.

    Parameters
    ----------
    path : Path
    values : collection of int
        Labels that count; empty for all above 0.

    Raises
    ------
    InputRejected
        As for an image, and if the labels are no whole numbers.
    """
    array, geometry = _read(path)
    labels = np.rint(array)
    if array.dtype.kind == "f" and not (np.abs(array - labels) < 1e-3).all():
        raise InputRejected(
            [
                fault(
                    "not-labels",
                    path.name,
                    found="values between the whole numbers",
                    expected="a mask of whole numbers",
                    remedy="threshold the probabilities first",
                )
            ]
        )
    return (np.isin(labels, list(values)) if values else labels > 0), geometry


def _read(path: Path) -> tuple[NDArray[Any], Geometry]:
    try:
        image: Any = sitk.ReadImage(str(path))
    except RuntimeError as trouble:
        reason = str(trouble).strip().splitlines()[-1][-120:]
        raise InputRejected(
            [
                fault(
                    "unreadable-image",
                    path.name,
                    found=reason,
                    expected="a file that SimpleITK reads",
                )
            ]
        ) from trouble
    dimension, channels = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    if dimension != 3 or channels != 1:
        raise InputRejected(
            [
                fault(
                    "not-one-volume",
                    path.name,
                    found=f"{dimension} dimensions and {channels} channel(s)",
                    expected="3 dimensions and 1 channel",
                    remedy="write each channel or time point as a file of its own",
                )
            ]
        )
    try:
        return from_simpleitk(image)
    except ValueError as trouble:
        raise InputRejected(
            [fault("invalid-geometry", path.name, found=str(trouble), expected="a regular grid")]
        ) from trouble
