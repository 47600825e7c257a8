"""A series as a block of voxels with its place in the patient."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from node.domain.geometry import Geometry, read_only


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """Voxels of one series.

    Parameters
    ----------
    voxels : ndarray, shape (z, y, x), read-only
        Rescaled intensities: HU for CT, arbitrary units for MR; int16 where exact, else float32.
    geometry : Geometry
        Place of every voxel.
    modality : str
        ``"CT"`` or ``"MR"``.
    study_instance_uid, series_instance_uid, frame_of_reference_uid : str
        Of the source; an empty frame of reference is allowed.
    source_uids : tuple of str
        SOP Instance UID of the source of slice ``k``, one for each slice.
    source_frames : tuple of int
        Frame number (1-based) in that source; 1 for single-frame objects.
    """

    voxels: NDArray[Any]
    geometry: Geometry
    modality: str
    study_instance_uid: str
    series_instance_uid: str
    frame_of_reference_uid: str
    source_uids: tuple[str, ...]
    source_frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise ValueError(
                f"voxels have shape {self.voxels.shape}, geometry says {self.geometry.shape}"
            )
        if not len(self.source_uids) == len(self.source_frames) == self.voxels.shape[0]:
            raise ValueError("every slice needs one source UID and one source frame")
        object.__setattr__(self, "voxels", read_only(self.voxels))
