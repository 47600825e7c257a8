"""The IBSI 1 phantoms, their published values, and our values beside them.

References
----------
Phantoms: https://github.com/theibsi/data_sets. The digital phantom (A. Zwanenburg) is CC BY 4.0
and small enough to stand here; the CT phantom (Lambin, doi:10.17195/candat.2016.08.1) is
CC BY-NC 3.0 and stays in ``../shared``.
"""

import csv
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from ibsi_tags import BY_DIRECTION, OF_ALL_DIRECTIONS, WITHOUT_MATRIX
from radiomics.imageoperations import checkMask, cropToTumorMask

from node.radiomics.measure import measure_classes

# It remarks once for each extraction that GLCM is symmetric.
logging.getLogger("radiomics").setLevel(logging.ERROR)
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "ibsi"
#: Voxels (z, y, x) of 2 mm; -1 marks those outside the mask, whose intensities nobody reads.
DIGITAL_PHANTOM = np.array(
    [
        [[1, 4, 4, 1, 1], [1, 4, 6, 1, 1], [4, 1, 6, 4, 1], [4, 4, 6, 4, 1]],
        [[1, 4, 4, 1, 1], [1, 1, 6, 1, 1], [-1, 1, 3, 1, 1], [4, 4, 6, 1, 1]],
        [[1, 4, 4, -1, -1], [1, 1, 1, 1, 1], [1, 1, -1, 1, 1], [1, 1, 6, 1, 1]],
        [[1, 4, 4, -1, -1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 6, 1, 1]],
    ]
)


def make_digital_phantom() -> tuple[sitk.Image, sitk.Image]:
    image = sitk.GetImageFromArray(DIGITAL_PHANTOM.astype(np.float64))
    mask = sitk.GetImageFromArray((DIGITAL_PHANTOM >= 0).astype(np.uint32))
    for each in (image, mask):
        each.SetSpacing((2.0, 2.0, 2.0))
    return image, mask


def read_phantom(name: str) -> tuple[sitk.Image, sitk.Image]:
    folder = SHARED / name / "nifti"
    if not folder.is_dir():
        pytest.skip(f"the phantom is not here: ../shared/data/ibsi/{name}")
    image = sitk.ReadImage(folder / "image" / "phantom.nii.gz", sitk.sitkFloat64)
    mask = sitk.ReadImage(folder / "mask" / "mask.nii.gz", sitk.sitkUInt32)
    for each in (image, mask):
        each.SetOrigin((0.0, 0.0, 0.0))
        # NIfTI keeps single precision: 0.977 mm is read as 0.9769999980926514.
        each.SetSpacing([round(mm, 4) for mm in image.GetSpacing()])
    return image, mask


def read_published(table: str) -> dict[str, tuple[float, float]]:
    """Tag -> value and tolerance."""
    path = SHARED / "ibsi_1_reference_values" / f"ibsi_1_{table}.csv"
    if not path.is_file():
        pytest.skip(f"published values are not here: ../shared/data/ibsi/.../{path.name}")
    with path.open(newline="") as lines:
        return {
            row["tag"]: (float(row["reference value"]), float(row["tolerance"]))
            for row in csv.DictReader(lines, delimiter=";")
            if row["reference value"]
        }


def resegment(image, mask, *, range_hu=None, sigmas=None) -> sitk.Image:
    """Leave voxels out whose intensity is out of range, then those far from the mean."""
    voxels, inside = sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(mask) == 1
    if range_hu:
        inside &= (voxels >= range_hu[0]) & (voxels <= range_hu[1])
    if sigmas:
        mean, deviation = voxels[inside].mean(), voxels[inside].std()
        inside &= np.abs(voxels - mean) <= sigmas * deviation
    out = sitk.GetImageFromArray(inside.astype(np.uint32))
    out.CopyInformation(mask)
    return out


def measure_rows(image, shape_mask, intensity_mask, settings, aggregation) -> dict[str, float]:
    """Our value of every row that PyRadiomics can give.

    ``aggregation`` is ``"3D"`` or ``"2_5D"``: neighbours in space or in slices, whose matrices
    are merged over the slices.
    """
    settings = {**settings, "force2D": aggregation != "3D", "force2Ddimension": 0}

    def measure(mask, classes, **more):
        box, _ = checkMask(image, mask, label=1, minimumROIDimensions=1)
        return measure_classes(*cropToTumorMask(image, mask, box), classes, {**settings, **more})

    values = measure(shape_mask, ("shape",))
    values |= measure(intensity_mask, ("firstorder", "glszm", "ngtdm", "gldm"))
    rows = {tag: values[name] for tag, name in WITHOUT_MATRIX.items()}
    rows |= {f"{tag}_{aggregation}": values[name] for tag, name in OF_ALL_DIRECTIONS.items()}
    for suffix, weighting in (("avg", None), ("comb", "no_weighting")):
        values = measure(intensity_mask, ("glcm", "glrlm"), weightingNorm=weighting)
        rows |= {
            f"{tag}_{aggregation}_{suffix}": values[name] for tag, name in BY_DIRECTION.items()
        }
    return rows


def find_deviations(rows: dict[str, float], published: dict[str, tuple[float, float]]) -> set[str]:
    """Tags whose value is not the published one, give or take tolerance and printed digits."""
    return {
        tag
        for tag, value in rows.items()
        if not abs(value - published[tag][0])
        <= published[tag][1] + _half_a_digit(published[tag][0]) * (1 + 1e-9)
    }


def _half_a_digit(value: float) -> float:
    """Half a unit of the third significant digit, to which values are printed."""
    return 0.5 * 10.0 ** (math.floor(math.log10(abs(value))) - 2)
