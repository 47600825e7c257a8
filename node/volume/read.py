"""Checked series -> Volume: pixels decoded and rescaled slice by slice.

Conventions
-----------
* Values are those of the Modality LUT: ``slope * stored + intercept`` with each slice's own
  slope and intercept (PS3.3 C.11.1, and C.7.6.16.2.9 for enhanced objects); 1 and 0 if absent.
* MONOCHROME1 is a matter of display (low values are shown bright) and not inverted: HU stay HU.
* Pixel padding keeps its value.
* Only one slice is decoded at a time, so that memory stays near that of the block itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels, pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from node.dicom.damage import DAMAGED
from node.dicom.pixels import check_pixels, count_frames
from node.domain.errors import InputRejected, Problem
from node.domain.study import Series
from node.domain.volume import Volume
from node.volume.block import VoxelBlock

MAXIMUM_PROBLEMS = 10
"""Decoders may search for seconds in broken data, so that not every object of a series is tried."""


def read_volume(series: Series) -> Volume:
    """Decode a series that ``check_series`` has ordered.

    Parameters
    ----------
    series : Series
        With ``slices`` and ``geometry``.

    Returns
    -------
    Volume
        Voxels int16 where that is exact, else float32, shape (z, y, x).

    Raises
    ------
    InputRejected
        If pixel data is cut off or cannot be decoded; such objects are listed, at most
        ``MAXIMUM_PROBLEMS`` of them.
    ValueError
        If the series was not checked.
    """
    if series.geometry is None or not series.slices:
        raise ValueError("series has no geometry: check_series comes first")
    block = VoxelBlock(series.geometry.shape)
    wanted: dict[str, dict[int, int]] = defaultdict(dict)
    for k, place in enumerate(series.slices):
        wanted[place.source_uid][place.frame] = k
    problems: list[Problem] = []
    for instance in series.instances:
        slice_of_frame = wanted[instance.sop_instance_uid]
        try:
            for frame, stored, slope, intercept in _decode(instance.path, sorted(slice_of_frame)):
                _expect_shape(stored, series.geometry.shape[1:])
                if not problems:
                    block.put(slice_of_frame[frame], stored, slope=slope, intercept=intercept)
        except DAMAGED as fault:
            problems.append(_problem(instance.sop_instance_uid, fault))
            if len(problems) == MAXIMUM_PROBLEMS:
                break
    if problems:
        raise InputRejected(problems)
    return Volume(
        voxels=block.voxels,
        geometry=series.geometry,
        modality=series.modality,
        study_instance_uid=series.study_instance_uid,
        series_instance_uid=series.series_instance_uid,
        frame_of_reference_uid=series.attributes.get("FrameOfReferenceUID", ""),
        source_uids=tuple(place.source_uid for place in series.slices),
        source_frames=tuple(place.frame for place in series.slices),
    )


def read_slices(series: Series, chosen: Sequence[int]) -> Volume:
    """Decode some slices of a series that ``check_series`` has ordered.

    Parameters
    ----------
    series : Series
    chosen : sequence of int
        Slices, from 0.

    Returns
    -------
    Volume
        They alone, one upon the other: between slices its geometry holds for neighbours only.

    Raises
    ------
    IndexError
        If there is no such slice.
    InputRejected, ValueError
        As ``read_volume``.
    """
    if series.geometry is None or not all(0 <= k < len(series.slices) for k in chosen):
        raise IndexError(f"slices {list(chosen)} of {len(series.slices)}")
    places = tuple(series.slices[k] for k in chosen)
    uids = {place.source_uid for place in places}
    return read_volume(
        replace(
            series,
            instances=tuple(each for each in series.instances if each.sop_instance_uid in uids),
            slices=places,
            geometry=replace(series.geometry, shape=(len(places), *series.geometry.shape[1:])),
        )
    )


def _decode(path: Path, frames: list[int]) -> Iterator[tuple[int, NDArray[Any], float, float]]:
    """Yield frame number, stored values (y, x), slope and intercept for the wanted frames."""
    header = dcmread(path, stop_before_pixels=True)
    check_pixels(header, path)
    if count_frames(header) == 1:
        slope, intercept = _rescale_of(header, 1)
        yield 1, _only_frame(dcmread(path)), slope, intercept
        return
    is_deflated = header.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian
    source: Path | Dataset = dcmread(path) if is_deflated else path
    decoded = iter_pixels(source, raw=True, indices=[frame - 1 for frame in frames])
    for frame, stored in zip(frames, decoded, strict=True):
        slope, intercept = _rescale_of(header, frame)
        yield frame, stored, slope, intercept


def _only_frame(dataset: Dataset) -> NDArray[Any]:
    return pixel_array(dataset, raw=True, allow_excess_frames=False)


def _rescale_of(header: Dataset, frame: int) -> tuple[float, float]:
    """Slope and intercept of one frame, from functional groups or the data set itself."""
    if "ModalityLUTSequence" in header:
        raise NotImplementedError("Modality LUT Sequence")
    source = header
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        items = header.get(groups) or ()
        index = 0 if groups.startswith("Shared") else frame - 1
        if index < len(items) and items[index].get("PixelValueTransformationSequence"):
            source = items[index].PixelValueTransformationSequence[0]
    slope, intercept = source.get("RescaleSlope"), source.get("RescaleIntercept")
    slope = 1.0 if slope in (None, "") else float(slope)
    intercept = 0.0 if intercept in (None, "") else float(intercept)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise ValueError(f"rescale slope {slope} and intercept {intercept}")
    return slope, intercept


def _expect_shape(stored: NDArray[Any], expected: tuple[int, ...]) -> None:
    if stored.shape != expected:
        raise ValueError(f"decoded to {stored.shape}, header says {expected}")


def _problem(sop_instance_uid: str, fault: Exception) -> Problem:
    return Problem(
        code="undecodable-pixels",
        tag="PixelData",
        uid=sop_instance_uid,
        found=f"{type(fault).__name__}: {' '.join(str(fault).split())[:300]}",
        expected="complete pixel data of the stated size and transfer syntax",
        remedy="send the object again, uncompressed if the compression is at fault",
    )
