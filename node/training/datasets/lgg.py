"""The TCGA lower-grade glioma set of Buda et al.: three sequences, FLAIR abnormality.

References
----------
Buda, Saha, Mazurowski, Comput Biol Med 109, 2019, doi:10.1016/j.compbiomed.2019.05.002.
"""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image

from node.training.datasets.labelled import LabelledCase, expect_files, make_volume

log = structlog.get_logger()

#: The files give no spacing; heads fill the 256 pixels as in a field of view of 240 mm.
SPACING_MM = (7.0, 0.94, 0.94)
EMPTY = 20
SAME_CHANNEL = 2.0
#: Roles and the channels of the files that hold them; the mask was drawn on FLAIR.
ROLES = {"flair": 1, "t1": 0, "t1ce": 2}


def read_lgg(directory: Path) -> list[LabelledCase]:
    """Read one case for each patient: pre-contrast T1, FLAIR and post-contrast T1, with the mask.

    Patients with a sequence that is a copy of FLAIR (it was missing) are left out and reported,
    and so are their slices without image at both ends.

    Parameters
    ----------
    directory : Path
        Holds ``images.zip``, ``masks.zip`` and ``index.csv``.

    Returns
    -------
    list of LabelledCase
        ``volumes`` in the order of ``ROLES``.

    Raises
    ------
    InputRejected
        If a file is missing, with the files that were expected.
    """
    expect_files(directory, ("images.zip", "masks.zip", "index.csv"))
    cases = []
    with (
        zipfile.ZipFile(directory / "images.zip") as images,
        zipfile.ZipFile(directory / "masks.zip") as masks,
    ):
        mask_names = {name.rsplit(".", 1)[0]: name for name in masks.namelist()}
        for patient, numbers in _slices_of_patients(directory).items():
            channels = np.stack([_read_rgb(images, f"{patient}/{n:03d}.jpg") for n in numbers])
            filled = channels[..., ROLES["flair"]].max(axis=(1, 2)) >= EMPTY
            flair = channels[..., ROLES["flair"]].astype(int)
            copies = [
                role
                for role in ("t1", "t1ce")
                if np.abs(channels[..., ROLES[role]] - flair).mean() < SAME_CHANNEL
            ]
            if copies or not filled.any():
                log.warning("case.left-out", case=patient, found="copies of FLAIR", roles=copies)
                continue
            first, last = np.flatnonzero(filled)[[0, -1]]
            mask = np.stack([_read_mask(masks, mask_names, f"{patient}/{n:03d}") for n in numbers])
            chosen = slice(first, last + 1)
            cases.append(
                LabelledCase(
                    patient=patient,
                    identifier=patient,
                    volumes=tuple(
                        make_volume(
                            np.ascontiguousarray(channels[chosen, ..., channel]),
                            f"{patient}/{role}",
                            spacing_mm=SPACING_MM,
                        )
                        for role, channel in ROLES.items()
                    ),
                    mask=mask[chosen],
                    tumour_type="glioma",
                )
            )
    return cases


def _slices_of_patients(directory: Path) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    with (directory / "index.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            numbers.setdefault(row["patient"], []).append(int(row["slice"]))
    return {patient: sorted(found) for patient, found in sorted(numbers.items())}


def _read_rgb(archive: zipfile.ZipFile, name: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(archive.read(name))) as picture:
        return np.asarray(picture.convert("RGB"))


def _read_mask(archive: zipfile.ZipFile, names: dict[str, str], stem: str) -> NDArray[np.bool_]:
    with Image.open(io.BytesIO(archive.read(names[stem]))) as picture:
        return np.asarray(picture.convert("L")) > 0


def read_lgg_negatives(directory: Path) -> list[LabelledCase]:
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
    """
    expect_files(directory, ("images.zip", "index.csv"))
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
                channels = _read_rgb(archive, f"{name}.jpg")
                flair, post = channels[..., 1], channels[..., 2]
                if post.max() < EMPTY:
                    continue
                if np.abs(post.astype(int) - flair).mean() < SAME_CHANNEL:
                    continue
                slices.append(
                    LabelledCase(
                        patient=patient,
                        identifier=name,
                        volumes=(make_volume(post[None], name, spacing_mm=SPACING_MM),),
                        mask=np.zeros((1, *post.shape), bool),
                        tumour_type="none",
                        malignant=False,
                    )
                )
    return slices
