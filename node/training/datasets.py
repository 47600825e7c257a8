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


# The readme of the Cheng set: 0.49 mm pixels, 6 mm slices with a gap of 1 mm.
CHENG_PIXEL_MM = 0.49
STEP_MM = 7.0


#: The files give no spacing; heads fill the 256 pixels as in a field of view of 240 mm.
LGG_PIXEL_MM = 0.94
LGG_EMPTY = 20
LGG_SAME_CHANNEL = 2.0


def _as_volume(image: NDArray[np.uint8], identifier: str, pixel_mm: float) -> Volume:
    rows, columns = image.shape
    return Volume(
        voxels=image[None],
        geometry=Geometry.from_axes(
            origin_mm=(0, 0, 0),
            slice_step_mm=(0, 0, STEP_MM),
            row_step_mm=(0, pixel_mm, 0),
            column_step_mm=(pixel_mm, 0, 0),
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
    _expect_files(directory, ("slices.zip", "masks_packbits.npz", "index.csv"))
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
                    volume=_as_volume(image, f"{number:04d}", CHENG_PIXEL_MM),
                    mask=mask,
                    tumour_type=row["type"],
                    malignant=row["malignant"] == "1",
                )
            )
    return slices


def read_lgg_negatives(directory: Path) -> list[LabelledSlice]:
    """Read tumour-free post-contrast T1 slices of the TCGA lower-grade glioma set of Buda et al.

    A slice counts as tumour-free when neither it nor a neighbour holds a pixel of the FLAIR mask.
    Slices whose post-contrast channel is a copy of FLAIR, and empty ones, are left out.

    Parameters
    ----------
    directory : Path
        Holds ``images.zip`` and ``index.csv``.

    Raises
    ------
    InputRejected
        If a file is missing, with the files that were expected.

    References
    ----------
    Buda, Saha, Mazurowski, Comput Biol Med 109, 2019, doi:10.1016/j.compbiomed.2019.05.002.
    """
    _expect_files(directory, ("images.zip", "index.csv"))
    tumour: dict[str, dict[int, bool]] = {}
    with (directory / "index.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            tumour.setdefault(row["patient"], {})[int(row["slice"])] = int(row["tumour_px"]) > 0
    slices = []
    with zipfile.ZipFile(directory / "images.zip") as archive:
        for patient, marks in sorted(tumour.items()):
            for number in sorted(marks):
                if any(marks.get(near, False) for near in (number - 1, number, number + 1)):
                    continue
                name = f"{patient}/{number:03d}"
                with Image.open(io.BytesIO(archive.read(f"{name}.jpg"))) as picture:
                    channels = np.asarray(picture.convert("RGB"))
                flair, post = channels[..., 1], channels[..., 2]
                if post.max() < LGG_EMPTY:
                    continue
                if np.abs(post.astype(int) - flair).mean() < LGG_SAME_CHANNEL:
                    continue
                slices.append(
                    LabelledSlice(
                        patient=patient,
                        identifier=name,
                        volume=_as_volume(post, name, LGG_PIXEL_MM),
                        mask=np.zeros(post.shape, bool),
                        tumour_type="none",
                        malignant=False,
                    )
                )
    return slices


def _expect_files(directory: Path, names: tuple[str, ...]) -> None:
    missing = [
        Problem(
            code="dataset-file-missing",
            found=f"no {name}",
            expected=f"{', '.join(names)} in {directory.name}",
            remedy="name the folder of this data set",
        )
        for name in names
        if not (directory / name).is_file()
    ]
    if missing:
        raise InputRejected(missing)
