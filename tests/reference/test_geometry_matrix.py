"""Every way in which a stack may lie in the patient: the SEG marks the place that was meant.

The truth are points in patient space: the pixels that are marked on the source files, placed by
these files' own headers (PS3.3 equation C.7.6.2.1-1). The SEG is read by decoders that share no
code with the node: pydicom with the affine of the file's functional groups, and dcmqi. dcmqi cannot
resample the sheared stack of a tilted gantry; dcmtk reads that one.
"""

import base64
import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories_images import checked_series
from factories_report import axes, make_labels, make_report, make_series
from judges_dicom import decode_with_dcmqi
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from tools import require_dcmtk

from node.config.settings import ReportSettings
from node.domain.geometry import Geometry
from node.emulate.enhanced import pack_enhanced
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.volume.read import read_volume

SHAPE = (7, 40, 48)
LESIONS = 2
Points = Mapping[int, NDArray[np.float64]]
"""Number of a lesion -> LPS positions in mm of its voxels, sorted."""


def against_normal(geometry: Geometry) -> Geometry:
    """The same places, the slices in the opposite order."""
    affine = geometry.affine.copy()
    affine[:, 3] = geometry.to_lps((geometry.shape[0] - 1, 0, 0))
    affine[:, 0] *= -1
    return Geometry(affine=affine, shape=geometry.shape)


ORIENTATIONS: Mapping[str, dict[str, Any]] = {
    "axial": {"geometry": axes(shape=SHAPE)},
    "sagittal": {"geometry": axes(shape=SHAPE, rotation_deg=(90, 0, 90))},
    "coronal": {"geometry": axes(shape=SHAPE, rotation_deg=(-90, 0, 0))},
    "oblique": {"geometry": axes(shape=SHAPE, rotation_deg=(25, 0, 0))},
    "double oblique": {"geometry": axes(shape=SHAPE, rotation_deg=(20, -35, 15))},
    "against the normal": {"geometry": against_normal(axes(shape=SHAPE))},
    "numbered backwards": {"geometry": axes(shape=SHAPE), "reversed_files": True},
    "HFP": {"geometry": axes(shape=SHAPE, rotation_deg=(0, 0, 180)), "position": "HFP"},
    "FFS": {"geometry": axes(shape=SHAPE, rotation_deg=(0, 180, 0)), "position": "FFS"},
    "FFP": {"geometry": axes(shape=SHAPE, rotation_deg=(180, 0, 0)), "position": "FFP"},
    "pixels twice as long": {"geometry": axes(shape=SHAPE, spacing_mm=(3.3, 0.45, 0.9))},
    "no multiple of 8": {"geometry": axes(shape=(7, 43, 53))},
    "one column over a byte": {"geometry": axes(shape=(7, 40, 49), rotation_deg=(5, 0, 0))},
}
TILTED: Mapping[str, dict[str, Any]] = {
    "tilt": {"geometry": axes(shape=SHAPE, tilt_deg=18), "modality": "CT"},
    "tilt back, odd": {"geometry": axes(shape=(7, 43, 53), tilt_deg=-24), "modality": "CT"},
}


class Written:
    """A series on disk, as the node reads it, and the SEG that the node makes of a mask."""

    def __init__(
        self,
        folder: Path,
        *,
        geometry: Geometry,
        position: str = "HFS",
        enhanced: bool = False,
        labels: NDArray[np.uint8] | None = None,
        **options: Any,
    ) -> None:
        headers = {"PatientPosition": position, "AcquisitionNumber": 1}
        images = folder / "images"
        paths = make_series(images, geometry, headers=headers, **options).paths
        if enhanced:
            shuffled = [*range(1, len(paths), 2), *range(0, len(paths), 2)]
            slices = [dcmread(path) for path in paths]
            packed = pack_enhanced([slices], frame_order=shuffled)
            paths = (folder / "packed" / "enhanced.dcm",)
            paths[0].parent.mkdir()
            packed.save_as(paths[0], enforce_file_format=True)
        self.volume = read_volume(checked_series(paths[0].parent))
        self.labels = make_labels(self.volume.geometry.shape, LESIONS) if labels is None else labels
        self.sources = {str(each.SOPInstanceUID): each for each in map(dcmread, paths)}
        seg = build_seg(
            make_report(self.volume, self.labels),
            read_sources(paths, self.volume.source_uids),
            settings=ReportSettings(),
        )
        assert seg is not None
        self.seg = folder / "seg.dcm"
        seg.save_as(self.seg, enforce_file_format=True)

    def truth(self) -> Points:
        """The mask in patient space, by the headers of the source files alone."""
        found: dict[int, list[NDArray[np.float64]]] = {}
        origins = zip(self.volume.source_uids, self.volume.source_frames, strict=True)
        for (uid, frame), plane in zip(origins, self.labels, strict=True):
            header = self.sources[uid]
            if "PerFrameFunctionalGroupsSequence" in header:
                header = flat_groups(header, frame - 1)
            for number in np.unique(plane[plane > 0]):
                points = place(
                    plane == number,
                    header.ImagePositionPatient,
                    header.ImageOrientationPatient,
                    header.PixelSpacing,
                )
                found.setdefault(int(number), []).append(points)
        return in_order(found)


def place(pixels: NDArray[Any], position: Any, orientation: Any, spacing: Any) -> NDArray[Any]:
    """PS3.3 equation C.7.6.2.1-1; spacing is that of rows, then that of columns."""
    rows, columns = np.nonzero(pixels)
    along_row, down_column = np.array(orientation, float).reshape(2, 3)
    return (
        np.array(position, float)
        + np.outer(columns * float(spacing[1]), along_row)
        + np.outer(rows * float(spacing[0]), down_column)
    )


def in_order(found: Mapping[int, list[NDArray[np.float64]]]) -> Points:
    ordered = {}
    for number, parts in found.items():
        points = np.concatenate(parts)
        ordered[number] = points[np.lexsort(points.round(2).T)]
    return ordered


def flat_groups(dataset: Dataset, index: int) -> Dataset:
    """What the functional groups say of one frame, in one data set."""
    flat = Dataset()
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for holder in (shared, dataset.PerFrameFunctionalGroupsSequence[index]):
        for group in holder:
            if group.VR == "SQ" and len(group.value) == 1:
                flat.update(group.value[0])
    return flat


def read_by_pydicom(path: Path) -> Points:
    seg = dcmread(path)
    pixels = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    found: dict[int, list[NDArray[np.float64]]] = {}
    for index, frame in enumerate(pixels):
        groups = flat_groups(seg, index)
        points = place(
            frame, groups.ImagePositionPatient, groups.ImageOrientationPatient, groups.PixelSpacing
        )
        found.setdefault(int(groups.ReferencedSegmentNumber), []).append(points)
    return in_order(found)


def read_by_dcmtk(path: Path) -> Points:
    """Parse the file with dcm2json; bits are taken one by one, as PS3.5 section 8.1.1 has them."""
    command = [require_dcmtk("dcm2json"), str(path)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    rows, columns = (told[tag]["Value"][0] for tag in ("00280010", "00280011"))
    packed = base64.b64decode(told["7FE00010"]["InlineBinary"])
    (shared,) = told["52009229"]["Value"]
    found: dict[int, list[NDArray[np.float64]]] = {}
    for index, own in enumerate(told["52009230"]["Value"]):
        groups = dict(_leaves({**shared, **own}))
        first = index * rows * columns
        bits = [packed[n >> 3] >> (n & 7) & 1 for n in range(first, first + rows * columns)]
        frame = np.reshape(bits, (rows, columns))
        points = place(frame, groups["00200032"], groups["00200037"], groups["00280030"])
        found.setdefault(groups["0062000B"][0], []).append(points)
    return in_order(found)


def _leaves(groups: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for item in groups.values():
        for element in item["Value"]:
            yield from ((tag, each.get("Value")) for tag, each in element.items())


def assert_same_places(found: Points, truth: Points) -> None:
    assert found.keys() == truth.keys()
    for number, points in truth.items():
        assert found[number].shape == points.shape
        assert np.abs(found[number] - points).max() < 0.01


@pytest.mark.parametrize("enhanced", [False, True], ids=["single-frame", "enhanced"])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_two_decoders_find_the_mask_in_the_patient(
    tmp_path: Path, name: str, enhanced: bool
) -> None:
    written = Written(tmp_path, enhanced=enhanced, **ORIENTATIONS[name])
    truth = written.truth()
    assert len(truth) == LESIONS
    assert_same_places(read_by_pydicom(written.seg), truth)
    by_dcmqi, astray = decode_with_dcmqi(written.seg, tmp_path / "dcmqi", written.volume.geometry)
    assert astray == 0
    assert np.array_equal(by_dcmqi, written.labels)


@pytest.mark.parametrize("enhanced", [False, True], ids=["single-frame", "enhanced"])
@pytest.mark.parametrize("name", TILTED)
def test_two_decoders_find_the_mask_under_a_tilted_gantry(
    tmp_path: Path, name: str, enhanced: bool
) -> None:
    written = Written(tmp_path, enhanced=enhanced, **TILTED[name])
    slice_step, row_step = written.volume.geometry.direction[:, :2].T
    assert abs(float(slice_step @ row_step)) > 0.2, "the stack is not sheared"
    truth = written.truth()
    assert len(truth) == LESIONS
    assert_same_places(read_by_pydicom(written.seg), truth)
    assert_same_places(read_by_dcmtk(written.seg), truth)


@pytest.mark.slow
def test_a_stack_of_2000_slices(tmp_path: Path) -> None:
    geometry = axes(shape=(2000, 24, 32), spacing_mm=(0.5, 1.1, 0.9), rotation_deg=(12, 4, -7))
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    for k in range(3, 1998):  # a spiral: every slice looks different
        y, x = 10 + round(7 * np.sin(k / 40)), 14 + round(9 * np.cos(k / 40))
        labels[k, y : y + 4, x : x + 5 + k % 3] = 1
    labels[1000:1004, 2, 2:5] = 2
    written = Written(tmp_path, geometry=geometry, labels=labels)
    assert int(dcmread(written.seg, stop_before_pixels=True).NumberOfFrames) == 1999
    assert_same_places(read_by_pydicom(written.seg), written.truth())
    by_dcmqi, astray = decode_with_dcmqi(written.seg, tmp_path / "dcmqi", written.volume.geometry)
    assert astray == 0
    assert np.array_equal(by_dcmqi, labels)


def test_the_decoders_notice_a_mask_that_lies_elsewhere(tmp_path: Path) -> None:
    written = Written(tmp_path, **TILTED["tilt"])
    seg = dcmread(written.seg)
    groups = seg.PerFrameFunctionalGroupsSequence
    first, last = (groups[k].PlanePositionSequence[0] for k in (0, -1))
    first.ImagePositionPatient, last.ImagePositionPatient = (
        last.ImagePositionPatient,
        first.ImagePositionPatient,
    )
    seg.save_as(written.seg)
    for read in (read_by_pydicom, read_by_dcmtk):
        with pytest.raises(AssertionError):
            assert_same_places(read(written.seg), written.truth())
