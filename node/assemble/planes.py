"""Where every image plane of an instance lies, and what its pixels are, from the header alone.

References
----------
PS3.3 C.7.6.2 (image plane of classic objects), C.7.6.16 (functional groups of enhanced ones).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.assemble.b_value import B_VALUE_TAGS, private_b_value
from node.dicom.functional_groups import IN_GROUPS, PER_FRAME, SHARED, group_of, value_of
from node.dicom.limits import MAXIMUM_FRAMES
from node.dicom.pixels import PixelsRefused
from node.dicom.text import as_text
from node.domain.study import InstanceRef

SPLITTING = (
    "StackID",
    "ImageType",
    "EchoTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "InversionTime",
    "AcquisitionNumber",
    "AcquisitionTime",
)
"""Attributes that tell apart several images of one place, the most telling first."""

_KEYWORDS = (
    *SPLITTING,
    "SOPInstanceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    SHARED,
    PER_FRAME,
)
_WANTED = [*map(Tag, _KEYWORDS), *B_VALUE_TAGS]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """One frame; what is missing or unusable is None.

    Parameters
    ----------
    source_uid : str
        SOP Instance UID.
    frame : int
        Frame number, from 1.
    position_mm : ndarray, shape (3,)
        ImagePositionPatient.
    orientation : ndarray, shape (2, 3)
        ImageOrientationPatient: direction of a row, direction of a column.
    spacing_mm : ndarray, shape (2,)
        PixelSpacing: between rows, between columns.
    thickness_mm : float or None
        SliceThickness, else SpacingBetweenSlices.
    matrix : tuple of int
        Rows and columns.
    splitting : mapping of str to str
        Values of the ``SPLITTING`` attributes.
    """

    source_uid: str
    frame: int
    position_mm: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    spacing_mm: NDArray[np.float64] | None
    thickness_mm: float | None
    matrix: tuple[int, int]
    splitting: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageHeader:
    """What geometry checks need to know of one instance.

    Parameters
    ----------
    instance : InstanceRef
    photometric_interpretation, frame_of_reference_uid : str
        Empty when absent.
    samples_per_pixel, bits_allocated, rows, columns : int
        0 when absent.
    planes : tuple of Plane
        One for each frame.
    """

    instance: InstanceRef
    photometric_interpretation: str
    frame_of_reference_uid: str
    samples_per_pixel: int
    bits_allocated: int
    rows: int
    columns: int
    planes: tuple[Plane, ...]


def read_image_header(instance: InstanceRef) -> ImageHeader:
    """Read the planes of one instance.

    Raises
    ------
    PixelsRefused
        If it has more frames than are taken.
    DAMAGED
        If the header cannot be read, see ``node.dicom.damage``.
    """
    dataset = dcmread(instance.path, stop_before_pixels=True, specific_tags=_WANTED)
    rows, columns = _integer(dataset, "Rows"), _integer(dataset, "Columns")
    frames = len(dataset.get(PER_FRAME) or ())
    if frames > MAXIMUM_FRAMES:
        raise PixelsRefused(f"{frames} frames, at most {MAXIMUM_FRAMES} are taken")
    if frames:
        planes = [_frame_plane(dataset, frame) for frame in range(frames)]
    else:
        planes = [_classic_plane(dataset)]
    return ImageHeader(
        instance=instance,
        photometric_interpretation=str(dataset.get("PhotometricInterpretation") or ""),
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID") or ""),
        samples_per_pixel=_integer(dataset, "SamplesPerPixel"),
        bits_allocated=_integer(dataset, "BitsAllocated"),
        rows=rows,
        columns=columns,
        planes=tuple(planes),
    )


def _classic_plane(dataset: Dataset) -> Plane:
    told = {keyword: dataset.get(keyword) for keyword in SPLITTING}
    if told["DiffusionBValue"] is None:
        told["DiffusionBValue"] = private_b_value(dataset)
    return Plane(
        source_uid=str(dataset.SOPInstanceUID),
        frame=1,
        position_mm=_numbers(dataset, "ImagePositionPatient", (3,)),
        orientation=_numbers(dataset, "ImageOrientationPatient", (2, 3)),
        spacing_mm=_numbers(dataset, "PixelSpacing", (2,)),
        thickness_mm=_thickness(dataset),
        matrix=(_integer(dataset, "Rows"), _integer(dataset, "Columns")),
        splitting=_texts(told),
    )


def _frame_plane(dataset: Dataset, frame: int) -> Plane:
    measures = group_of(dataset, frame, "PixelMeasuresSequence")
    position = group_of(dataset, frame, "PlanePositionSequence")
    orientation = group_of(dataset, frame, "PlaneOrientationSequence")
    told = {
        keyword: value_of(dataset, frame, keyword)
        for keyword in SPLITTING
        if keyword in IN_GROUPS or keyword == "ImageType"
    }
    gradient = group_of(dataset, frame, "MRDiffusionSequence").get(
        "DiffusionGradientDirectionSequence"
    )
    if gradient:
        told["DiffusionGradientOrientation"] = gradient[0].get("DiffusionGradientOrientation")
    return Plane(
        source_uid=str(dataset.SOPInstanceUID),
        frame=frame + 1,
        position_mm=_numbers(position, "ImagePositionPatient", (3,)),
        orientation=_numbers(orientation, "ImageOrientationPatient", (2, 3)),
        spacing_mm=_numbers(measures, "PixelSpacing", (2,)),
        thickness_mm=_thickness(measures),
        matrix=(_integer(dataset, "Rows"), _integer(dataset, "Columns")),
        splitting=_texts(told),
    )


def _numbers(dataset: Dataset, keyword: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Finite numbers of that shape, or None; a text that is no number counts as missing."""
    try:
        value = dataset.get(keyword)
        numbers = np.array([float(part) for part in value or ()], np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if numbers.size != np.prod(shape) or not np.isfinite(numbers).all():
        return None
    return numbers.reshape(shape)


def _thickness(dataset: Dataset) -> float | None:
    for keyword in ("SliceThickness", "SpacingBetweenSlices"):
        try:
            thickness_mm = float(dataset.get(keyword) or 0)
        except (TypeError, ValueError, OverflowError):
            continue
        if 0 < thickness_mm < float("inf"):
            return thickness_mm
    return None


def _integer(dataset: Dataset, keyword: str) -> int:
    try:
        return int(dataset.get(keyword) or 0)
    except (TypeError, ValueError, OverflowError):
        return 0


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Texts of values; numbers in one way of writing, so that 10 and 10.0 are one echo."""
    return {
        keyword: _canonical(as_text(value))
        for keyword, value in values.items()
        if value not in (None, "")
    }


def _canonical(text: str) -> str:
    try:
        return f"{float(text):.10g}"
    except ValueError:
        return text
