"""Pixel data within limits, checked before anything is decoded.

A header may claim any size, and a few compressed bytes may become any number of pixels: decoders
allocate what they are told.

References
----------
PS3.3 C.7.6.3 (image pixel), PS3.5 A.4 (encapsulated pixel data).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from node.dicom.codestream import read_matrix
from node.dicom.limits import (
    COMPRESSED_EXTRA_BYTES,
    COMPRESSED_FACTOR,
    MAXIMUM_FRAME_PIXELS,
    MAXIMUM_FRAMES,
)

_ELEMENT_BYTES = 12  # tag, VR and length of encapsulated pixel data


class PixelsRefused(ValueError):
    """Pixel data beyond the limits, or of another size than its header says."""


def count_frames(dataset: Dataset) -> int:
    """Return NumberOfFrames; 1 if it has none.

    Raises
    ------
    PixelsRefused
        There are more than ``MAXIMUM_FRAMES``, or fewer than one.
    """
    frames = int(dataset.get("NumberOfFrames") or 1)
    if not 0 < frames <= MAXIMUM_FRAMES:
        raise PixelsRefused(f"{frames} frames, 1 to {MAXIMUM_FRAMES} are taken")
    return frames


def check_pixels(dataset: Dataset, path: Path | None = None) -> None:
    """Check what a header says of its pixels, and every compressed frame against it.

    Parameters
    ----------
    dataset : Dataset
        With its file meta, and with its pixel data unless there is a path.
    path : Path, optional
        File to read compressed pixel data from, frame by frame.

    Raises
    ------
    PixelsRefused
    AttributeError, ValueError
        The header lacks rows or columns, or the frames cannot be told apart.
    """
    frames = count_frames(dataset)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows * columns > MAXIMUM_FRAME_PIXELS:
        raise PixelsRefused(
            f"frames of {rows} x {columns} pixels, at most {MAXIMUM_FRAME_PIXELS} are taken"
        )
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return
    bits = int(dataset.get("BitsAllocated") or 8)
    samples = int(dataset.get("SamplesPerPixel") or 1)
    bound = COMPRESSED_FACTOR * rows * columns * samples * (-(-bits // 8)) + COMPRESSED_EXTRA_BYTES
    for number, frame in enumerate(_frames(dataset, path, frames), start=1):
        if number > frames:
            break
        if len(frame) > bound:
            raise PixelsRefused(
                f"frame {number} has {len(frame)} bytes for {rows} x {columns} pixels"
            )
        told = None if syntax == RLELossless else read_matrix(frame)
        if told not in (None, (rows, columns)):
            raise PixelsRefused(
                f"frame {number} is {told} inside, ({rows}, {columns}) in the header"
            )


def _frames(dataset: Dataset, path: Path | None, frames: int) -> Iterator[bytes]:
    offsets = _extended_offsets(dataset)
    if path is None:
        pixels = dataset.PixelData
        _check_lengths(offsets, len(pixels))
        yield from generate_frames(pixels, number_of_frames=frames, extended_offsets=offsets)
        return
    _check_lengths(offsets, path.stat().st_size)
    with path.open("rb") as file:
        _seek_pixels(file)
        yield from generate_frames(file, number_of_frames=frames, extended_offsets=offsets)


def _seek_pixels(file: BinaryIO) -> None:
    dcmread(file, stop_before_pixels=True, specific_tags=[])  # ends before their tag
    file.seek(_ELEMENT_BYTES, 1)


def _extended_offsets(dataset: Dataset) -> tuple[bytes, bytes] | None:
    table, lengths = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
    return (table, lengths) if table and lengths else None


def _check_lengths(offsets: tuple[bytes, bytes] | None, size_bytes: int) -> None:
    """Refuse lengths of frames beyond the end: who reads them would ask for that much memory."""
    for table in offsets or ():
        for start in range(0, len(table) - 7, 8):
            if int.from_bytes(table[start : start + 8], "little") > size_bytes:
                raise PixelsRefused("an Extended Offset Table that points beyond the end")
