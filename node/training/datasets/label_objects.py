"""SEG and RTSTRUCT objects of a folder: what they name, what they refer to, their masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.dicom.damage import DAMAGED
from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry
from node.domain.study import InstanceRef
from node.training.datasets.read_set import fault
from node.volume.rtstruct import rasterise_outline, read_outlines, referenced_series
from node.volume.seg import rasterise_segments, read_segments, referenced_series_of_seg

MODALITIES = ("RTSTRUCT", "SEG")


@dataclass(frozen=True, kw_only=True)
class LabelObject:
    """A SEG or RTSTRUCT object, by reference to its file.

    Parameters
    ----------
    path : Path
    modality, sop_instance_uid, study_instance_uid : str
    series_uids : tuple of str
        Image series that it refers to.
    frame_of_reference_uids : tuple of str
    names : tuple of str
        Of its segments or regions, in the order of ``numbers``.
    numbers : tuple of int
    """

    path: Path
    modality: str
    sop_instance_uid: str
    study_instance_uid: str
    series_uids: tuple[str, ...]
    frame_of_reference_uids: tuple[str, ...]
    names: tuple[str, ...]
    numbers: tuple[int, ...]

    def select(self, patterns: Sequence[str]) -> tuple[int, ...]:
        """Numbers of the segments or regions whose name fits a pattern; case does not matter."""
        folded = [pattern.strip().casefold().replace("[", "[[]") for pattern in patterns]
        return tuple(
            number
            for number, name in zip(self.numbers, self.names, strict=True)
            if any(fnmatchcase(name.casefold(), pattern) for pattern in folded)
        )


def read_label_object(instance: InstanceRef, *, modality: str) -> LabelObject:
    """Read what an object names and refers to.

    Raises
    ------
    InputRejected
        If it cannot be read.
    """
    try:
        dataset = dcmread(instance.path, stop_before_pixels=True)
        named: list[tuple[int, str, str]]
        if modality == "SEG":
            frame = str(dataset.get("FrameOfReferenceUID") or "")
            named = [(item.number, item.label, frame) for item in read_segments(dataset)]
            series = referenced_series_of_seg(dataset)
        else:
            named = [
                (item.number, item.name, item.frame_of_reference_uid)
                for item in read_outlines(dataset)
            ]
            series = referenced_series(dataset)
    except DAMAGED as trouble:
        raise InputRejected([_unreadable(instance.sop_instance_uid, trouble)]) from trouble
    return LabelObject(
        path=instance.path,
        modality=modality,
        sop_instance_uid=instance.sop_instance_uid,
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_uids=series,
        frame_of_reference_uids=tuple(dict.fromkeys(uid for _, _, uid in named if uid)),
        names=tuple(name for _, name, _ in named),
        numbers=tuple(number for number, _, _ in named),
    )


def rasterise_labels(
    item: LabelObject, numbers: Sequence[int], geometry: Geometry
) -> NDArray[np.bool_]:
    """Unite segments or regions on the grid of the images that they were drawn on.

    Raises
    ------
    InputRejected
        If the object cannot be decoded, or does not lie on the grid.
    """
    try:
        dataset = dcmread(item.path)
        if item.modality == "SEG":
            return rasterise_segments(dataset, numbers, geometry)
        return _rasterise_regions(dataset, numbers, geometry)
    except DAMAGED as trouble:
        raise InputRejected([_unreadable(item.sop_instance_uid, trouble)]) from trouble


def _rasterise_regions(
    dataset: Dataset, numbers: Sequence[int], geometry: Geometry
) -> NDArray[np.bool_]:
    mask = np.zeros(geometry.shape, bool)
    for outline in read_outlines(dataset):
        if outline.number in numbers:
            mask |= rasterise_outline(outline, geometry)
    return mask


def _unreadable(sop_instance_uid: str, trouble: Exception) -> Problem:
    return fault(
        "unreadable-label",
        sop_instance_uid,
        found=f"{type(trouble).__name__}: {str(trouble)[:120]}",
        expected="a complete SEG or RTSTRUCT object",
    )
