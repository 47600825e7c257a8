"""Real studies become volumes in the right place, or are refused with a reason.

The outlines of the RTSTRUCT objects are the judge: people drew them on these very slices, so in
millimetres they must fall on slices of our grid, inside the matrix and around the right tissue.
"""

import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pydicom import dcmread

from node.assemble.folder import scan_folder
from node.assemble.select import sort_study
from node.assemble.validate import check_series
from node.config.settings import RoutingRule, SeriesMatch
from node.domain.errors import InputRejected
from node.volume.read import read_volume

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dicom"
ARCHIVES = (
    "dicom_LUNG1-001_41slices_CCBYNC",
    "dicom_STS_001_raw_MR_T1_512",
    "dicom_STS_002_CT_MR_PET_cropped",
    "dicom_STS_025_CT_MR_PET_cropped",
    "dicom_STS_042_CT_MR_PET_cropped",
)
EXPECTED_SHAPES = {
    "dicom_LUNG1-001_41slices_CCBYNC": {"CT": (41, 512, 512)},
    "dicom_STS_001_raw_MR_T1_512": {"MR": (40, 512, 512)},
    "dicom_STS_002_CT_MR_PET_cropped": {"CT": (48, 143, 161), "MR": (35, 90, 115)},
    "dicom_STS_025_CT_MR_PET_cropped": {"CT": (47, 138, 149), "MR": (25, 55, 75)},
    "dicom_STS_042_CT_MR_PET_cropped": {"CT": (49, 162, 134), "MR": (42, 97, 54)},
}
EVERYTHING = RoutingRule(name="all", match=SeriesMatch(), bundle="any", destinations=("pacs",))


@pytest.fixture(scope="module")
def contents_of(tmp_path_factory):
    """Contents of an unpacked archive; skipped where the shared data are not mounted."""

    @cache
    def unpack(name):
        archive = SHARED / f"{name}.zip"
        if not archive.exists():
            pytest.skip(f"real DICOM is not here: ../shared/data/dicom/{name}.zip")
        folder = tmp_path_factory.mktemp(name)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(folder)
        return scan_folder(folder)

    return unpack


def volumes_of(contents):
    """Volumes by series, and refusal codes by modality."""
    volumes, refused = {}, {}
    for study in contents.studies:
        for series in study.series:
            try:
                volume = read_volume(check_series(series, minimum_slices=3))
                volumes[series.series_instance_uid] = volume
            except InputRejected as rejected:
                refused[series.modality] = [problem.code for problem in rejected.problems]
    return volumes, refused


def tumours_of(contents, volumes):
    """Volume and index of the contour points, shape (n, 3), of every tumour outline on it."""
    for study in contents.studies:
        for series in study.series:
            if series.modality != "RTSTRUCT":
                continue
            structures = dcmread(series.instances[0].path)
            names = {roi.ROINumber: roi.ROIName for roi in structures.StructureSetROISequence}
            drawn_on = {
                drawn.SeriesInstanceUID
                for frame in structures.ReferencedFrameOfReferenceSequence
                for seen in frame.RTReferencedStudySequence
                for drawn in seen.RTReferencedSeriesSequence
            }
            for region in structures.ROIContourSequence:
                if not names[region.ReferencedROINumber].startswith("GTV"):
                    continue
                for contour in region.ContourSequence:
                    points = np.array(contour.ContourData, float).reshape(-1, 3)
                    for uid in drawn_on & set(volumes):
                        yield volumes[uid], volumes[uid].geometry.to_index(points)


@pytest.mark.parametrize("name", ARCHIVES)
def test_images_become_volumes_and_the_rest_is_refused(contents_of, name):
    contents = contents_of(name)
    volumes, refused = volumes_of(contents)
    assert {v.modality: v.voxels.shape for v in volumes.values()} == EXPECTED_SHAPES[name]
    assert all(v.voxels.dtype == np.int16 for v in volumes.values())
    assert refused.pop("RTSTRUCT")[0] == "unsupported-sop-class"
    assert all(codes == ["unsupported-sop-class"] for codes in refused.values())
    assert contents.problems == ()


@pytest.mark.parametrize("name", ARCHIVES)
def test_permissive_rule_chooses_an_image_series_and_explains_the_rest(contents_of, name):
    for study in contents_of(name).studies:
        sorted_study = sort_study(study, [EVERYTHING])
        told = len(sorted_study.selections) + len(sorted_study.left_out)
        assert told == len(study.series)
        assert [s.series.modality in ("CT", "MR") for s in sorted_study.selections] == [True]


@pytest.mark.parametrize("name", ARCHIVES)
def test_outlines_drawn_by_people_fall_on_our_slices(contents_of, name):
    contents = contents_of(name)
    volumes, _ = volumes_of(contents)
    judged = set()
    for volume, index in tumours_of(contents, volumes):
        assert np.abs(index[:, 0] - np.rint(index[:, 0])).max() < 0.02
        assert (index > -0.5).all()
        assert (index < np.array(volume.geometry.shape) - 0.5).all()
        judged.add(volume.series_instance_uid)
    assert judged == set(volumes)


@pytest.mark.parametrize("name", [name for name in ARCHIVES if "CT" in EXPECTED_SHAPES[name]])
def test_tumour_outlines_hold_soft_tissue(contents_of, name):
    """A turned or shifted grid would put lung, air or bone inside (HU of tissue: -100 to 200)."""
    contents = contents_of(name)
    volumes, _ = volumes_of(contents)
    values = []
    for volume, index in tumours_of(contents, volumes):
        if volume.modality != "CT":
            continue
        picture = Image.new("1", volume.geometry.shape[:0:-1])
        ImageDraw.Draw(picture).polygon([(i, j) for _, j, i in index], fill=1)
        values.append(volume.voxels[round(index[0, 0])][np.array(picture)])
    inside = np.concatenate(values)
    assert inside.size > 1000
    assert -100 < np.median(inside) < 200
    assert np.mean((inside > -150) & (inside < 250)) > 0.7
