"""Pixels by their header, and compressed frames, are checked before anything is decoded."""

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from node.dicom import pixels
from node.dicom.limits import COMPRESSED_EXTRA_BYTES, COMPRESSED_FACTOR, MAXIMUM_FRAMES
from node.dicom.pixels import PixelsRefused, check_pixels, count_frames

ROWS, COLUMNS, BYTES = 4, 5, 2


def compressed(*sizes: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = RLELossless
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.NumberOfFrames = ROWS, COLUMNS, 8 * BYTES, len(sizes)
    ds.PixelData = encapsulate([bytes(size) for size in sizes])
    return ds


def test_a_compressed_frame_may_be_twice_its_pixels_and_a_bit() -> None:
    most = COMPRESSED_FACTOR * ROWS * COLUMNS * BYTES + COMPRESSED_EXTRA_BYTES
    check_pixels(compressed(most, most))
    with pytest.raises(PixelsRefused, match=f"frame 2 has {most + 2} bytes for 4 x 5 pixels"):
        check_pixels(compressed(most, most + 2))


@pytest.mark.parametrize("frames", [-1, MAXIMUM_FRAMES + 1])
def test_a_number_of_frames_that_no_object_has(frames: int) -> None:
    ds = Dataset()
    ds.NumberOfFrames = MAXIMUM_FRAMES
    assert count_frames(ds) == MAXIMUM_FRAMES
    ds.NumberOfFrames = frames
    with pytest.raises(PixelsRefused, match=f"{frames} frames, 1 to {MAXIMUM_FRAMES} are taken"):
        count_frames(ds)


def test_a_frame_of_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    check_pixels(compressed(10))
    monkeypatch.setattr(pixels, "MAXIMUM_FRAME_PIXELS", ROWS * COLUMNS - 1)
    with pytest.raises(PixelsRefused, match="frames of 4 x 5 pixels, at most 19 are taken"):
        check_pixels(compressed(10))
