"""From probabilities to labelled lesions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.segmentation import Lesion, Segmentation
from node.domain.uid import derive_uid
from node.domain.volume import Volume
from node.segment.across_slices import smooth_across_slices
from node.segment.components import Box, find_components
from node.segment.diameters import measure_in_plane_axes, measure_maximum_diameter, outline_points

MAXIMUM_LESIONS = 250  # labels are uint8, and no radiologist reads a longer list


@dataclass(frozen=True, kw_only=True)
class LesionSpec:
    """What counts as a lesion; chosen on validation patients, part of a bundle's manifest.

    Parameters
    ----------
    threshold : float
        Voxels at or above this probability belong to a lesion.
    minimum_area_mm2 : float
        The largest slice of a lesion must cover at least this.
    minimum_peak : float
        A lesion must reach this probability somewhere.
    smoothing_slices : float
        Before that, the probability is smoothed across slices, see
        ``node.segment.across_slices``.
    """

    threshold: float = 0.5
    minimum_area_mm2: float = 15.0
    minimum_peak: float = 0.7
    smoothing_slices: float = 0.0


def find_lesions(
    volume: Volume, probability: NDArray[np.float16], spec: LesionSpec, *, model_digest: str
) -> Segmentation:
    """Label the connected lesions (26-neighbourhood), largest first, and measure them.

    Parameters
    ----------
    volume : Volume
    probability : ndarray of float16, shape (z, y, x)
    spec : LesionSpec
    model_digest : str
        Enters the tracking UIDs: another model finds other lesions.

    Returns
    -------
    Segmentation
        On the grid of the volume; perhaps without lesions. Holds the smoothed probability.
    """
    probability = smooth_across_slices(probability, spec.smoothing_slices)
    labels = np.zeros(volume.voxels.shape, np.uint8)
    lesions: list[Lesion] = []
    for box, mask in find_components(probability, spec.threshold):
        inside = probability[box][mask].astype(np.float32)
        areas = mask.sum(axis=(1, 2))
        pixel_area = volume.geometry.voxel_volume_mm3 / _slice_distance(volume)
        if inside.max() < spec.minimum_peak or areas.max() * pixel_area < spec.minimum_area_mm2:
            continue
        if len(lesions) == MAXIMUM_LESIONS:
            break
        number = len(lesions) + 1
        labels[box][mask] = number
        lesions.append(
            _measure(
                volume,
                box,
                mask,
                number=number,
                mean_probability=float(inside.mean()),
                model_digest=model_digest,
            )
        )
    return Segmentation(
        labels=labels,
        probability=probability,
        geometry=volume.geometry,
        source_uids=volume.source_uids,
        source_frames=volume.source_frames,
        lesions=tuple(lesions),
    )


def _slice_distance(volume: Volume) -> float:
    """Distance in mm between slice planes, along their normal."""
    steps = volume.geometry.affine[:, :3]
    normal = np.cross(steps[:, 1], steps[:, 2])
    return float(abs(steps[:, 0] @ normal) / np.linalg.norm(normal))


def _measure(
    volume: Volume,
    box: Box,
    mask: NDArray[np.bool_],
    *,
    number: int,
    mean_probability: float,
    model_digest: str,
) -> Lesion:
    geometry = volume.geometry
    start = np.array([s.start for s in box])
    count = int(mask.sum())
    centroid = geometry.to_lps(np.argwhere(mask).mean(axis=0) + start)
    long_axis, short_axis = measure_in_plane_axes(mask, geometry)
    voxels = np.packbits(mask).tobytes().hex()
    return Lesion(
        number=number,
        tracking_id=f"Lesion {number}",
        tracking_uid=derive_uid(
            "tracking", volume.series_instance_uid, model_digest, str(start.tolist()), voxels
        ),
        voxel_count=count,
        volume_ml=count * geometry.voxel_volume_mm3 / 1000,
        long_axis_mm=long_axis,
        short_axis_mm=short_axis,
        maximum_3d_diameter_mm=measure_maximum_diameter(outline_points(mask), geometry),
        centroid_lps_mm=(float(centroid[0]), float(centroid[1]), float(centroid[2])),
        largest_slice=int(mask.sum(axis=(1, 2)).argmax() + start[0]),
        mean_probability=mean_probability,
    )
