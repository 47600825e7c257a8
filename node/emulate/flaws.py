"""Ways to spoil a series, for the tests of what the node says of bad input."""

from collections.abc import Callable
from copy import deepcopy
from enum import StrEnum

import numpy as np
from pydicom.dataset import Dataset

from node.emulate.case import SampleCase
from node.emulate.mr_headers import decimals, sample_uid
from node.emulate.reslice import crop, tilt


class Flaw(StrEnum):
    """What may be wrong (or merely unusual) with a written series."""

    DROP_SLICE = "drop-slice"
    DUPLICATE_POSITIONS = "duplicate-positions"
    SECOND_ECHO = "second-echo"
    ODD_CROP = "odd-crop"
    GANTRY_TILT = "gantry-tilt"
    SINGLE_SLICE = "single-slice"
    MISSING_POSITION = "missing-position"
    MISSING_ORIENTATION = "missing-orientation"
    MIXED_ORIENTATION = "mixed-orientation"
    MIXED_MATRIX = "mixed-matrix"
    RGB = "rgb"
    PALETTE = "palette"
    ZERO_ROWS = "zero-rows"
    LOCALIZER = "localizer"


def _single(slices: list[Dataset]) -> list[Dataset]:
    middle = len(slices) // 2
    return slices[middle : middle + 1]


def _drop(slices: list[Dataset]) -> list[Dataset]:
    middle = len(slices) // 2
    return slices[:middle] + slices[middle + 1 :]


def _duplicate(slices: list[Dataset]) -> list[Dataset]:
    """Add a second image of every slice that differs in nothing but its UID and number."""
    second = deepcopy(slices)
    for dataset in second:
        uid = sample_uid("second image", dataset.SOPInstanceUID)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.InstanceNumber = int(dataset.InstanceNumber) + len(slices)
    return slices + second


def _second_echo(slices: list[Dataset]) -> list[Dataset]:
    """Add a second echo of every slice at its very position."""
    both = _duplicate(slices)
    for dataset in both[len(slices) :]:
        dataset.EchoTime = "90"
    return both


def _without(keyword: str) -> Callable[[list[Dataset]], list[Dataset]]:
    def spoil(slices: list[Dataset]) -> list[Dataset]:
        for dataset in slices:
            delattr(dataset, keyword)
        return slices

    return spoil


def _mix_orientation(slices: list[Dataset]) -> list[Dataset]:
    """Turn the first slice by 90 degrees, as a localizer among the images is."""
    first = slices[0]
    row, column = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
    first.ImageOrientationPatient = decimals([column, np.cross(row, column)])
    return slices


def _mix_matrix(slices: list[Dataset]) -> list[Dataset]:
    """Cut the first slice to half its rows."""
    first = slices[0]
    first.Rows = first.Rows // 2
    first.PixelData = first.PixelData[: first.Rows * first.Columns * 2]
    return slices


def _colour(slices: list[Dataset]) -> list[Dataset]:
    for dataset in slices:
        grey = np.frombuffer(dataset.PixelData, "<u2") >> 4
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
        dataset.PlanarConfiguration = 0
        _eight_bit(dataset, np.repeat(grey.astype(np.uint8), 3))
    return slices


def _palette(slices: list[Dataset]) -> list[Dataset]:
    for dataset in slices:
        grey = np.frombuffer(dataset.PixelData, "<u2") >> 4
        dataset.PhotometricInterpretation = "PALETTE COLOR"
        for colour in ("Red", "Green", "Blue"):
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
            table = (np.arange(256, dtype="<u2") * 257).tobytes()
            setattr(dataset, f"{colour}PaletteColorLookupTableData", table)
        _eight_bit(dataset, grey.astype(np.uint8))
    return slices


def _eight_bit(dataset: Dataset, pixels: np.ndarray) -> None:
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = pixels.tobytes()


def _zero_rows(slices: list[Dataset]) -> list[Dataset]:
    for dataset in slices:
        dataset.Rows = 0
        dataset.PixelData = b""
    return slices


def _localizer(slices: list[Dataset]) -> list[Dataset]:
    for dataset in slices:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return slices


_GRID_FLAWS: dict[Flaw, Callable[[SampleCase], SampleCase]] = {
    Flaw.ODD_CROP: lambda case: crop(case, 253, 251),
    Flaw.GANTRY_TILT: tilt,
}
_SERIES_FLAWS: dict[Flaw, Callable[[list[Dataset]], list[Dataset]]] = {
    Flaw.DROP_SLICE: _drop,
    Flaw.DUPLICATE_POSITIONS: _duplicate,
    Flaw.SECOND_ECHO: _second_echo,
    Flaw.SINGLE_SLICE: _single,
    Flaw.MISSING_POSITION: _without("ImagePositionPatient"),
    Flaw.MISSING_ORIENTATION: _without("ImageOrientationPatient"),
    Flaw.MIXED_ORIENTATION: _mix_orientation,
    Flaw.MIXED_MATRIX: _mix_matrix,
    Flaw.RGB: _colour,
    Flaw.PALETTE: _palette,
    Flaw.ZERO_ROWS: _zero_rows,
    Flaw.LOCALIZER: _localizer,
}


def spoil_grid(case: SampleCase, flaws: tuple[Flaw, ...]) -> SampleCase:
    """Apply the flaws that change voxels or geometry."""
    for flaw in flaws:
        if flaw in _GRID_FLAWS:
            case = _GRID_FLAWS[flaw](case)
    return case


def spoil_series(slices: list[Dataset], flaws: tuple[Flaw, ...]) -> list[Dataset]:
    """Apply the flaws that change headers or leave out or add instances."""
    for flaw in flaws:
        if flaw in _SERIES_FLAWS:
            slices = _SERIES_FLAWS[flaw](slices)
    return slices
