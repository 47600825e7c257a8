"""Where the lesions of an earlier SEG lie in the patient."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread

from node.dicom.damage import DAMAGED
from node.dicom.pixels import PixelsRefused
from node.dicom.seg_frames import decode_frames, find_frames, mark_pixels, place_frame
from node.domain.errors import InputRejected, Problem


def read_lesion_points(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return Tracking UID -> middles of the voxels of that segment, LPS mm, shape (n, 3).

    Raises
    ------
    InputRejected
        If it cannot be decoded.
    """
    try:
        dataset = dcmread(path)
        number_of = {
            str(item.TrackingUID): int(item.SegmentNumber)
            for item in dataset.SegmentSequence
            if item.get("TrackingUID")
        }
        points: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for uid, number in number_of.items():
            frames = find_frames(dataset, (number,))
            for frame, pixels in zip(frames, decode_frames(dataset, frames), strict=True):
                rows, columns = np.nonzero(mark_pixels(dataset, pixels, (number,)))
                place = place_frame(dataset, frame)
                points[uid].append(
                    place.origin_mm
                    + rows[:, None] * place.row_step_mm
                    + columns[:, None] * place.column_step_mm
                )
    except (*DAMAGED, PixelsRefused) as error:
        raise InputRejected(
            [
                Problem(
                    code="earlier-seg-unreadable",
                    found=f"the earlier segmentation cannot be read: {type(error).__name__}",
                    expected="a segmentation that this node made",
                    remedy="process the earlier examination again",
                )
            ]
        ) from error
    return {uid: np.concatenate(parts) for uid, parts in points.items()}
