"""The volumes of one case on one grid: that of the reference.

Nothing is registered: series of one session share a frame of reference, and a patient who moved
between two of them stays moved.
"""

from dataclasses import dataclass, replace

import numpy as np

from node.domain.errors import InputRejected, Problem
from node.domain.volume import Volume
from node.volume.resample import resample_to

LEAST_COVERAGE = 0.01
"""With less of the reference covered there is nothing to look at together."""
_TISSUE_FRACTION = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Channel:
    """A volume on the reference's grid.

    Parameters
    ----------
    volume : Volume
        Its ``source_uids`` are those of the reference's slices where it was resampled.
    covered : float
        Share of the reference's tissue that lies within the field of view of the source.
    """

    volume: Volume
    covered: float


def resample_channel(volume: Volume, reference: Volume) -> Channel:
    """Bring a volume to the grid of another one.

    On one grid the voxels stay as they are; else they are interpolated linearly, float32, and
    where the source ends the darkest value of the source is filled in.

    Raises
    ------
    InputRejected
        If the frames of reference differ, or the volumes do not overlap.
    """
    ours, theirs = volume.frame_of_reference_uid, reference.frame_of_reference_uid
    if ours and theirs and ours != theirs:
        raise InputRejected(
            [
                _problem(
                    "other-frame-of-reference",
                    volume,
                    found=f"frame of reference {ours}, the first role's is {theirs}",
                    expected="one frame of reference: else positions cannot be compared",
                )
            ]
        )
    if volume.geometry.is_close(reference.geometry):
        return Channel(volume=replace(volume, geometry=reference.geometry), covered=1.0)
    covered = _coverage(volume, reference)
    if covered < LEAST_COVERAGE:
        raise InputRejected(
            [
                _problem(
                    "no-overlap",
                    volume,
                    found=f"{covered:.0%} of the first role's tissue within its field of view",
                    expected="series of one piece of the patient",
                )
            ]
        )
    voxels = resample_to(
        volume.voxels,
        volume.geometry,
        reference.geometry,
        interpolation="linear",
        fill=float(volume.voxels.min()),
    )
    return Channel(
        volume=replace(
            volume,
            voxels=voxels,
            geometry=reference.geometry,
            source_uids=reference.source_uids,
            source_frames=reference.source_frames,
        ),
        covered=covered,
    )


def _coverage(volume: Volume, reference: Volume) -> float:
    inside = resample_to(
        np.ones(volume.voxels.shape, np.uint8),
        volume.geometry,
        reference.geometry,
        interpolation="nearest",
    )
    bright = float(np.percentile(reference.voxels[:, ::2, ::2], 99.5))
    tissue = reference.voxels > _TISSUE_FRACTION * bright
    return float(inside[tissue].mean() if tissue.any() else inside.mean())


def _problem(code: str, volume: Volume, *, found: str, expected: str) -> Problem:
    return Problem(
        code=code,
        uid=volume.series_instance_uid,
        found=found,
        expected=expected,
        remedy="send series of one session, or register them to one frame of reference first",
    )
