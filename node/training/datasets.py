"""Adapters from published data sets to labelled slices."""

import csv
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from node.domain.errors import InputRejected, Problem
from node.domain.geometry import Geometry
from node.domain.volume import Volume


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSlice:
    """One slice with its tumour mask.

    Parameters
    ----------
    patient : str
        Group that must never be split.
    identifier : str
    volume : Volume
        One slice, hung as a radiologist would.
    mask : ndarray of bool, shape (rows, columns)
    tumour_type : str
    malignant : bool
    """

    patient: str
    identifier: str
    volume: Volume
    mask: NDArray[np.bool_]
    tumour_type: str
    malignant: bool


# The data set's own readme: 0.49 mm pixels, 6 mm slices with a gap of 1 mm.
CHENG_PIXEL_MM = 0.49
CHENG_STEP_MM = 7.0


def _as_volume(image: NDArray[np.uint8], identifier: str) -> Volume:
    rows, columns = image.shape
    return Volume(
        voxels=image[None],
        geometry=Geometry.from_axes(
            origin_mm=(0, 0, 0),
            slice_step_mm=(0, 0, CHENG_STEP_MM),
            row_step_mm=(0, CHENG_PIXEL_MM, 0),
            column_step_mm=(CHENG_PIXEL_MM, 0, 0),
            shape=(1, rows, columns),
        ),
        modality="MR",
        study_instance_uid="",
        series_instance_uid="",
        frame_of_reference_uid="",
        source_uids=(identifier,),
        source_frames=(1,),
    )


def read_cheng(directory: Path) -> list[LabelledSlice]:
    """Read the T1 contrast-enhanced brain tumour set of Cheng et al.

    Parameters
    ----------
    directory : Path
        Holds ``slices.zip``, ``masks_packbits.npz`` and ``index.csv``.

    Raises
    ------
    InputRejected
        If a file is missing, with the files that were expected.

    References
    ----------
    Cheng et al., PLoS ONE 10(10): e0140381, 2015, doi:10.1371/journal.pone.0140381.
    """
    missing = [
        Problem(
            code="dataset-file-missing",
            found=f"no {name}",
            expected=f"{name} in {directory.name}",
            remedy="give the folder of the Cheng set with --data",
        )
        for name in ("slices.zip", "masks_packbits.npz", "index.csv")
        if not (directory / name).is_file()
    ]
    if missing:
        raise InputRejected(missing)
    packed = np.load(directory / "masks_packbits.npz")
    rows, columns = (int(n) for n in packed["shape"])
    masks = dict(zip(packed["ids"].tolist(), packed["masks"], strict=True))
    with (directory / "index.csv").open(newline="") as table:
        index = list(csv.DictReader(table))
    slices = []
    with zipfile.ZipFile(directory / "slices.zip") as archive:
        for row in index:
            number = int(row["id"])
            with Image.open(io.BytesIO(archive.read(f"{number:04d}.jpg"))) as picture:
                image = np.asarray(picture.convert("L"))
            mask = np.unpackbits(masks[number])[: rows * columns].reshape(rows, columns) > 0
            slices.append(
                LabelledSlice(
                    patient=row["patient_group"],
                    identifier=f"{number:04d}",
                    volume=_as_volume(image, f"{number:04d}"),
                    mask=mask,
                    tumour_type=row["type"],
                    malignant=row["malignant"] == "1",
                )
            )
    return slices
