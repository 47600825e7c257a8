"""Series on disk for the rooms that read them: written by the phantom, then edited."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.assemble.folder import read_folder
from node.assemble.validate import check_series
from node.domain.study import Series


def edit_files(paths: Sequence[Path], edit: Callable[[Dataset, int], None]) -> None:
    """Apply ``edit(dataset, k)`` to the k-th file and write it again."""
    for k, path in enumerate(paths):
        dataset = dcmread(path)
        edit(dataset, k)
        dataset.save_as(path, enforce_file_format=True)


def set_pixels(
    dataset: Dataset, pixels: np.ndarray, *, bits_stored: int = 16, signed: bool = False
) -> None:
    """Give an instance other 16-bit pixels, shape (y, x)."""
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits_stored, bits_stored - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()


def only_series(directory: Path) -> Series:
    """The only series of the only study of a folder, as read."""
    (study,) = read_folder(directory)
    (series,) = study.series
    return series


def checked_series(directory: Path, *, minimum_slices: int = 3) -> Series:
    """The same, checked and ordered."""
    return check_series(only_series(directory), minimum_slices=minimum_slices)
