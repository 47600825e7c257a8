"""What images are like, in a few numbers: a sender that changes its protocol shows in them."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from node.domain.volume import Volume

BODY_ABOVE_HU = -500.0
TISSUE_ABOVE = 0.1
"""MR: brighter than this share of the 99.5th percentile."""
MOST = (64, 128, 128)
"""Voxels that are looked at along each axis: every n-th of a larger volume."""

NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "slice_thickness_mm": "SliceThickness",
        "echo_time_ms": "EchoTime",
        "repetition_time_ms": "RepetitionTime",
        "flip_angle_degrees": "FlipAngle",
        "tube_voltage_kv": "KVP",
    }
)
"""Taken from the headers, where they tell."""


def measure_image(volume: Volume, attributes: Mapping[str, str]) -> dict[str, float]:
    """Measure a volume; what is not defined is left out.

    Parameters
    ----------
    volume : Volume
    attributes : mapping of str to str
        Of its series: DICOM keyword -> text.

    Returns
    -------
    dict of str to float
        ``slices``, ``slice_spacing_mm``, ``pixel_spacing_mm``, ``width_mm``, ``foreground_share``
        (body or tissue), ``intensity_p10``, ``_p50`` and ``_p90`` of the foreground (HU in CT, else
        shares of the 99.5th percentile of the volume), and ``NUMBERS``.
    """
    between_mm, rows_mm, columns_mm = volume.geometry.spacing_mm
    found = {
        "slices": float(volume.geometry.shape[0]),
        "slice_spacing_mm": between_mm,
        "pixel_spacing_mm": (rows_mm * columns_mm) ** 0.5,
        "width_mm": columns_mm * volume.geometry.shape[2],
        **_measure_intensity(volume),
    }
    for name, keyword in NUMBERS.items():
        number = _number(attributes.get(keyword, ""))
        if number is not None:
            found[name] = number
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _measure_intensity(volume: Volume) -> dict[str, float]:
    steps = (-(-size // most) for size, most in zip(volume.voxels.shape, MOST, strict=True))
    voxels = volume.voxels[tuple(slice(None, None, step) for step in steps)].astype(np.float32)
    if volume.modality == "CT":
        threshold, scale = BODY_ABOVE_HU, 1.0
    else:
        scale = float(np.percentile(voxels, 99.5))
        threshold = TISSUE_ABOVE * scale
    foreground = voxels[voxels > threshold]
    found = {"foreground_share": foreground.size / voxels.size}
    if foreground.size and scale > 0:
        levels = np.percentile(foreground, (10, 50, 90)) / scale
        found |= zip(("intensity_p10", "intensity_p50", "intensity_p90"), levels, strict=True)
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text.partition("\\")[0])
    except ValueError:
        return None
    return number if np.isfinite(number) else None
