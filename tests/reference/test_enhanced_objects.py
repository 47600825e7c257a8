"""Enhanced multi-frame objects: clean for dciodvfy, read by ITK, and by the node as classic."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from factories_images import checked_series, only_series
from factories_report import make_labels, make_report
from factories_volumes import make_head, make_volume
from judges_dicom import dcentvfy_errors, dciodvfy_errors
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.config.settings import ReportSettings
from node.domain.volume import Volume
from node.emulate.ct_series import write_ct_series
from node.emulate.enhanced import SPLITS, convert_legacy, pack_enhanced
from node.emulate.phantom import write_case
from node.report.write import write_evidence
from node.volume.read import read_volume

SLICES = 5
SHUFFLED = [3, 0, 4, 1, 2]


def classic_mr(folder: Path) -> list[Dataset]:
    written = write_case("brain2", folder, orientation="oblique")
    for path in written.paths[SLICES:]:
        path.unlink()
    return [dcmread(path) for path in written.paths[:SLICES]]


def classic_ct(folder: Path) -> list[Dataset]:
    volume = make_volume(make_head((SLICES, 64, 72)))
    write_ct_series(volume, folder, name="enhanced")
    return [dcmread(path) for path in sorted(folder.iterdir())]


def save(dataset: Dataset, folder: Path) -> Path:
    folder.mkdir()
    path = folder / "enhanced.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def same_place(one: Volume, other: Volume) -> bool:
    return one.geometry.is_close(other.geometry, 1e-9)


@pytest.mark.parametrize("classic", [classic_mr, classic_ct])
@pytest.mark.parametrize("make", ["enhanced", "shuffled", "legacy"])
def test_same_voxels_and_places_as_the_classic_series(tmp_path, classic, make):
    slices = classic(tmp_path / "classic")
    packed = {
        "enhanced": lambda: pack_enhanced([slices]),
        "shuffled": lambda: pack_enhanced([slices], frame_order=SHUFFLED),
        "legacy": lambda: convert_legacy(slices),
    }[make]()
    path = save(packed, tmp_path / "enhanced")
    assert dciodvfy_errors(path) == []
    expected = read_volume(checked_series(tmp_path / "classic"))
    volume = read_volume(checked_series(path.parent))
    assert np.array_equal(volume.voxels, expected.voxels)
    assert same_place(volume, expected)
    assert volume.frame_of_reference_uid == expected.frame_of_reference_uid
    assert set(volume.source_uids) == {str(packed.SOPInstanceUID)}
    assert sorted(volume.source_frames) == [1, 2, 3, 4, 5]
    if make == "shuffled":
        assert volume.source_frames == tuple(SHUFFLED.index(k) + 1 for k in range(SLICES))


@pytest.mark.parametrize("classic", [classic_mr, classic_ct])
def test_itk_reads_the_same_place(tmp_path, classic):
    slices = classic(tmp_path / "classic")
    path = save(pack_enhanced([slices]), tmp_path / "enhanced")
    volume = read_volume(checked_series(path.parent))
    image = sitk.ReadImage(str(path))
    x_mm, y_mm, z_mm = image.GetSpacing()
    assert (z_mm, y_mm, x_mm) == pytest.approx(volume.geometry.spacing_mm, abs=1e-4)
    assert image.GetOrigin() == pytest.approx(volume.geometry.origin_mm, abs=1e-4)
    assert np.reshape(image.GetDirection(), (3, 3))[:, ::-1] == pytest.approx(
        volume.geometry.direction, abs=1e-4
    )
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.voxels)


@pytest.mark.parametrize("split", SPLITS)
def test_objects_of_several_volumes_are_valid(tmp_path, split):
    slices = classic_mr(tmp_path / "classic")
    path = save(pack_enhanced([slices, slices], split=split), tmp_path / "enhanced")
    assert dciodvfy_errors(path) == []


def test_headers_of_frames_speak_as_those_of_classic_images(tmp_path):
    slices = classic_mr(tmp_path / "classic")
    path = save(pack_enhanced([slices]), tmp_path / "enhanced")
    dataset = dcmread(path)
    del dataset.BodyPartExamined  # many scanners name only the coded region
    dataset.save_as(path)
    told = only_series(path.parent).attributes
    classic = only_series(tmp_path / "classic").attributes
    for keyword in (
        "BodyPartExamined",
        "EchoTime",
        "FrameOfReferenceUID",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RepetitionTime",
        "ScanningSequence",
        "SliceThickness",
    ):
        expected = classic[keyword].replace("500", "500.0").replace("10", "10.0")
        assert told[keyword] in (classic[keyword], expected), keyword
    assert told["ContrastBolusAgent"] == "Gadolinium compound"


@pytest.mark.parametrize("volumes", [1, 2])
def test_results_name_the_frames_that_they_speak_of(tmp_path, volumes):
    slices = classic_mr(tmp_path / "classic")
    order = [*reversed(range(SLICES * volumes))]
    packed = pack_enhanced([slices] * volumes, frame_order=order)
    path = save(packed, tmp_path / "enhanced")
    volume = read_volume(checked_series(path.parent))
    report = make_report(volume, make_labels(volume.voxels.shape, 2))
    evidence = write_evidence(
        report,
        volume,
        source_paths=[path],
        out_dir=tmp_path / "out",
        prefix="r",
        settings=ReportSettings(),
    )
    seg, sr = dcmread(evidence[0].path), dcmread(evidence[1].path)
    for item in evidence[:2]:
        assert dciodvfy_errors(item.path) == []
    assert dcentvfy_errors([path, evidence[0].path, evidence[1].path]) == []
    source = dcmread(path)
    seen = set()
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (item,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert item.ReferencedSOPClassUID == source.SOPClassUID
        assert item.ReferencedSOPInstanceUID == source.SOPInstanceUID
        number = int(item.ReferencedFrameNumber)
        groups = source.PerFrameFunctionalGroupsSequence[number - 1]
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        assert frame.PlanePositionSequence[0].ImagePositionPatient == place
        seen.add(groups.FrameContentSequence[0].TemporalPositionIndex)
    assert seen == {volumes}  # of several phases the last was read, and only it is named
    (series,) = seg.ReferencedSeriesSequence
    assert [i.ReferencedSOPInstanceUID for i in series.ReferencedInstanceSequence] == [
        source.SOPInstanceUID
    ]
    (study,) = sr.CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert named == {source.SOPInstanceUID, seg.SOPInstanceUID}


def test_a_stack_that_is_spread_over_several_objects(tmp_path):
    """As a concatenation is, or a scanner that sends an object for each slab."""
    slices = classic_mr(tmp_path / "classic")
    folder = tmp_path / "enhanced"
    first = save(pack_enhanced([slices[:2]]), folder)
    second = pack_enhanced([slices[2:]], frame_order=[2, 1, 0])
    second.InstanceNumber = 2
    second.save_as(folder / "second.dcm", enforce_file_format=True)
    paths = [first, folder / "second.dcm"]
    volume = read_volume(checked_series(folder))
    expected = read_volume(checked_series(tmp_path / "classic"))
    assert np.array_equal(volume.voxels, expected.voxels)
    assert same_place(volume, expected)
    labels = make_labels(volume.voxels.shape, 2)
    evidence = write_evidence(
        make_report(volume, labels),
        volume,
        source_paths=paths,
        out_dir=tmp_path / "out",
        prefix="r",
        settings=ReportSettings(),
    )
    for item in evidence[:2]:
        assert dciodvfy_errors(item.path) == []
    assert dcentvfy_errors([*paths, evidence[0].path, evidence[1].path]) == []
    seg = dcmread(evidence[0].path)
    named = {
        (item.ReferencedSOPInstanceUID, int(item.ReferencedFrameNumber))
        for frame in seg.PerFrameFunctionalGroupsSequence
        for item in frame.DerivationImageSequence[0].SourceImageSequence
    }
    marked = labels.any(axis=(1, 2))
    assert named == {
        pair
        for pair, is_marked in zip(
            zip(volume.source_uids, volume.source_frames, strict=True), marked, strict=True
        )
        if is_marked
    }
    (series,) = seg.ReferencedSeriesSequence
    assert len(series.ReferencedInstanceSequence) == 2
