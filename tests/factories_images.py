"""Series on disk for the rooms that read them: written by the phantom, then edited."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

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


def write_enhanced(
    paths: Sequence[Path],
    out: Path,
    *,
    frame_order: Sequence[int] | None = None,
    rescale: Callable[[int], tuple[str, str]] = lambda _k: ("1", "0"),
    shared_rescale: bool = False,
) -> Path:
    """Pack classic MR files into one Enhanced MR object.

    Frame ``n`` shows file ``frame_order[n]``; ``rescale(k)`` gives slope and intercept of file k.
    The object has what readers need, not everything that the standard asks for.
    """
    slices = [dcmread(path) for path in paths]
    order = list(frame_order if frame_order is not None else range(len(slices)))
    enhanced = Dataset()
    first = slices[0]
    kept = [element for element in first if element.tag.group in (0x08, 0x10, 0x20, 0x28)]
    for element in kept:
        if element.keyword not in _PER_FRAME:
            enhanced.add(element)
    enhanced.SOPClassUID = EnhancedMRImageStorage
    enhanced.SOPInstanceUID = generate_uid()
    enhanced.InstanceNumber = 1
    enhanced.NumberOfFrames = len(order)
    shared = Dataset()
    shared.PixelMeasuresSequence = [_subset(first, "PixelSpacing", "SliceThickness")]
    shared.PlaneOrientationSequence = [_subset(first, "ImageOrientationPatient")]
    if shared_rescale:
        shared.PixelValueTransformationSequence = [_rescale_item(*rescale(0))]
    enhanced.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k in order:
        groups = Dataset()
        groups.PlanePositionSequence = [_subset(slices[k], "ImagePositionPatient")]
        if not shared_rescale:
            groups.PixelValueTransformationSequence = [_rescale_item(*rescale(k))]
        frames.append(groups)
    enhanced.PerFrameFunctionalGroupsSequence = frames
    enhanced.PixelData = b"".join(slices[k].PixelData for k in order)
    enhanced.file_meta = FileMetaDataset()
    enhanced.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    out.mkdir(parents=True, exist_ok=True)
    path = out / "enhanced.dcm"
    enhanced.save_as(path, enforce_file_format=True)
    return path


_PER_FRAME = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "InstanceNumber")


def _subset(dataset: Dataset, *keywords: str) -> Dataset:
    item = Dataset()
    for keyword in keywords:
        setattr(item, keyword, dataset[keyword].value)
    return item


def _rescale_item(slope: str, intercept: str) -> Dataset:
    item = Dataset()
    item.RescaleSlope, item.RescaleIntercept, item.RescaleType = slope, intercept, "US"
    return item
