"""Series that the chain is timed with: the demo study, and large ones made of the same head."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Geometry
from node.emulate.mr_headers import sample_uid, series_attributes, slice_dataset
from node.emulate.phantom import load_case, write_case
from node.emulate.reslice import reorient
from node.volume.resample import resample_to

CASE, ORIENTATION = "brain1", "axial"
MATRIX = 512
HEAD_SLICES = 300


@dataclass(frozen=True, kw_only=True)
class SentSeries:
    """Files of one series with UIDs that no earlier run had."""

    study_instance_uid: str
    paths: tuple[Path, ...]


def write_demo_series(folder: Path) -> SentSeries:
    """Write the study of ``onconode demo``, in the axial orientation of a scanner."""
    series = write_case(CASE, folder, orientation=ORIENTATION, fresh=True)
    return SentSeries(study_instance_uid=series.study_instance_uid, paths=series.paths)


def write_large_series(folder: Path, slices: int, head_slices: int = HEAD_SLICES) -> SentSeries:
    """Write a 512 x 512 MR series of the same head, one slice at a time.

    The head is resampled to ``head_slices`` slices; a longer series goes through it upwards and
    downwards in turn, so that spacing and content stay those of a scanner.
    """
    head, grid = _resample_head(head_slices)
    identity = f"chain-bench/{slices}/{uuid.uuid4().hex}"
    tower = Geometry(affine=grid.affine, shape=(slices, MATRIX, MATRIX))
    shared = series_attributes(CASE, identity, tower)
    bright = float(np.percentile(head[::8, ::4, ::4], 99.5))
    there_and_back = [*range(head_slices), *range(head_slices - 2, 0, -1)]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k in range(slices):
        dataset = slice_dataset(
            shared,
            head[there_and_back[k % len(there_and_back)]],
            position_mm=tower.to_lps((k, 0, 0)),
            sop_instance_uid=sample_uid("instance", identity, str(k)),
            instance_number=k + 1,
            window=(bright / 2, bright),
        )
        paths.append(folder / f"MR.{k + 1:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return SentSeries(study_instance_uid=str(shared.StudyInstanceUID), paths=tuple(paths))


def _resample_head(slices: int) -> tuple[NDArray[np.uint16], Geometry]:
    """Voxels, shape (slices, 512, 512), over the same piece of the patient as the sample case."""
    case = reorient(load_case(CASE), ORIENTATION)
    old = case.geometry
    shape = (slices, MATRIX, MATRIX)
    shrink = np.array(old.shape) / np.array(shape)
    # Outer voxel edges stay where they are: first centres move by half the change of a voxel.
    corner = old.to_lps((shrink - 1) / 2)
    grid = Geometry(affine=np.column_stack([old.affine[:, :3] * shrink, corner]), shape=shape)
    voxels = resample_to(case.voxels, old, grid, interpolation="linear")
    return np.rint(np.clip(voxels, 0, None)).astype(np.uint16), grid
