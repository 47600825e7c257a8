"""The T1 contrast-enhanced brain tumour set of Cheng et al."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from node.training.datasets.labelled import LabelledCase, expect_files, make_volume

#: The readme of the set: 0.49 mm pixels, 6 mm slices with a gap of 1 mm.
SPACING_MM = (7.0, 0.49, 0.49)


def read_cheng(directory: Path) -> list[LabelledCase]:
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
    expect_files(directory, ("slices.zip", "masks_packbits.npz", "index.csv"))
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
                LabelledCase(
                    patient=row["patient_group"],
                    identifier=f"{number:04d}",
                    volumes=(make_volume(image[None], f"{number:04d}", spacing_mm=SPACING_MM),),
                    mask=mask[None],
                    tumour_type=row["type"],
                    malignant=row["malignant"] == "1",
                    notes={
                        "identifiers": "letters" if row["patient_group"][0].isalpha() else "digits"
                    },
                )
            )
    return slices


def _family(patient: str) -> str:
    """Two hospitals by the look of it: all patients named by letters have gliomas."""
    return "letters" if patient[0].isalpha() else "digits"
