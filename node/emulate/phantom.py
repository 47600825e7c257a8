"""Sample cases as DICOM series: exact geometry, synthetic headers, a reference mask beside them."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from node.domain.geometry import Geometry
from node.emulate.case import CASES, SampleCase, load_case
from node.emulate.flaws import Flaw, spoil_grid, spoil_series
from node.emulate.follow_up import FollowUp
from node.emulate.mr_headers import sample_uid, series_attributes, slice_dataset
from node.emulate.reslice import ORIENTATIONS, order_along_normal, reorient

__all__ = [
    "CASES",
    "ORIENTATIONS",
    "Flaw",
    "SampleCase",
    "WrittenSeries",
    "load_case",
    "write_case",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class WrittenSeries:
    """A series on disk and the truth about it.

    Parameters
    ----------
    study_instance_uid, series_instance_uid : str
        Of every instance.
    paths : tuple of Path
        One file for each slice, along the normal (row direction x column direction).
    source_uids : tuple of str
        SOP Instance UIDs, in the order of ``paths``.
    masks : mapping of str to ndarray of bool, shape (y, x)
        Reference mask of every instance by its SOP Instance UID.
    geometry : Geometry
        Grid of the slices along the normal, before any flaw left some out or doubled them.
    """

    study_instance_uid: str
    series_instance_uid: str
    paths: tuple[Path, ...]
    source_uids: tuple[str, ...]
    geometry: Geometry
    masks: Mapping[str, NDArray[np.bool_]] = field(repr=False)

    def mask_of(self, source_uids: Sequence[str]) -> NDArray[np.bool_]:
        """Reference mask in the order of the given sources, shape (z, y, x)."""
        return np.stack([self.masks[uid] for uid in source_uids])


def write_case(
    name: str,
    out_dir: Path,
    *,
    orientation: str = "native",
    flaws: Sequence[Flaw] = (),
    headers: Mapping[str, Any] | None = None,
    fresh: bool = False,
) -> WrittenSeries:
    """Write a sample case as a classic MR series.

    Parameters
    ----------
    name : str
        One of ``CASES``.
    out_dir : Path
        Folder for the files; made if it is missing.
    orientation : str
        One of ``ORIENTATIONS``.
    flaws : sequence of Flaw
        What shall be wrong with the series.
    headers : mapping of str to Any, optional
        DICOM keyword -> value that replaces the shared one, e.g. ``PatientName``.
    fresh : bool
        Make new UIDs. By default they depend on case, orientation and flaws only, so that a
        second run writes the same objects.

    Raises
    ------
    KeyError
        If case or orientation do not exist.
    """
    flaws = tuple(Flaw(flaw) for flaw in flaws)
    case = spoil_grid(reorient(load_case(name), orientation), flaws)
    identity = "/".join((name, orientation, *flaws, uuid.uuid4().hex if fresh else ""))
    return _write(case, out_dir, identity=identity, flaws=flaws, headers=headers or {})


def write_follow_up(
    follow_up: FollowUp, out_dir: Path, *, visit: str, headers: Mapping[str, Any] | None = None
) -> WrittenSeries:
    """Write the next visit of a sample patient as a study, and frame of reference, of its own.

    Parameters
    ----------
    follow_up : FollowUp
    out_dir : Path
        Folder for the files; made if it is missing.
    visit : str
        Keeps the UIDs of several visits apart.
    headers : mapping of str to Any, optional
        DICOM keyword -> value, e.g. another ``StudyDate``.
    """
    identity = f"{follow_up.case.name}/visit {visit}"
    return _write(follow_up.case, out_dir, identity=identity, flaws=(), headers=headers or {})


def _write(
    case: SampleCase,
    out_dir: Path,
    *,
    identity: str,
    flaws: tuple[Flaw, ...],
    headers: Mapping[str, Any],
) -> WrittenSeries:
    numbers = list(range(1, case.geometry.shape[0] + 1))
    along_normal = order_along_normal(case)
    if along_normal.geometry.origin_mm != case.geometry.origin_mm:
        numbers.reverse()
    slices = _slices_of(along_normal, numbers, identity, headers)
    masks = {
        dataset.SOPInstanceUID: mask
        for dataset, mask in zip(slices, along_normal.mask, strict=True)
    }
    grid_of = {int(dataset.InstanceNumber): dataset.SOPInstanceUID for dataset in slices}
    written = spoil_series(slices, flaws)
    for dataset in written:  # a second echo shows what the first one shows
        first_echo = grid_of[(int(dataset.InstanceNumber) - 1) % len(grid_of) + 1]
        masks.setdefault(dataset.SOPInstanceUID, masks[first_echo])
    out_dir.mkdir(parents=True, exist_ok=True)
    paths = tuple(out_dir / f"MR.{int(dataset.InstanceNumber):04d}.dcm" for dataset in written)
    for dataset, path in zip(written, paths, strict=True):
        dataset.save_as(path, enforce_file_format=True)
    return WrittenSeries(
        study_instance_uid=str(slices[0].StudyInstanceUID),
        series_instance_uid=str(slices[0].SeriesInstanceUID),
        paths=paths,
        source_uids=tuple(str(dataset.SOPInstanceUID) for dataset in written),
        geometry=along_normal.geometry,
        masks={str(uid): mask for uid, mask in masks.items()},
    )


def _slices_of(
    case: SampleCase, numbers: Sequence[int], identity: str, headers: Mapping[str, Any]
) -> list[Dataset]:
    shared = series_attributes(case.name, identity, case.geometry)
    for keyword, value in headers.items():
        setattr(shared, keyword, value)
    bright = float(np.percentile(case.voxels, 99.5))
    return [
        slice_dataset(
            shared,
            pixels,
            position_mm=case.geometry.to_lps((k, 0, 0)),
            sop_instance_uid=sample_uid("instance", identity, str(number)),
            instance_number=number,
            window=(bright / 2, bright),
        )
        for k, (pixels, number) in enumerate(zip(case.voxels, numbers, strict=True))
    ]
