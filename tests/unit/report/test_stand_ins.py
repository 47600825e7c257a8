"""What stands in for a SEG says the same as the SEG."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from factories_report import (
    SeriesOnDisk,
    axes,
    make_enhanced_series,
    make_labels,
    make_report,
    make_series,
)
from judges_dicom import dcentvfy_errors, dciodvfy_errors, decode_with_dcmqi
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    SegmentationStorage,
)
from skimage.draw import polygon2mask

from node.config.settings import ReportSettings
from node.report.capture import read_capture
from node.report.contours import trace_mask
from node.report.key_object import build_key_object
from node.report.labelmap import LABEL_MAP_STORAGE, build_labelmap, fits_binary_readers
from node.report.rtstruct import build_rtstruct
from node.report.secondary_capture import build_secondary_capture
from node.report.sr_forms import recast_sr, without_segments
from node.report.write import write_evidence
from node.volume.rtstruct import rasterise_outline, read_outlines, referenced_series

SHAPE = (6, 41, 53)


@dataclass
class Result:
    """A result on the disk."""

    series: SeriesOnDisk
    labels: NDArray[np.uint8]
    paths: dict[str, Path]

    def read(self, kind: str) -> Dataset:
        return dcmread(self.paths[kind])


def make_result(folder: Path, *, enhanced: bool = False, lesions: int = 2) -> Result:
    geometry = axes(shape=SHAPE, rotation_deg=(10, 5, 3))
    make = make_enhanced_series if enhanced else make_series
    series = make(folder / "images", geometry)
    labels = make_labels(SHAPE, lesions)
    labels[1, 15:17, 19:21] = 0  # a hole in the first lesion
    written = write_evidence(
        make_report(series.volume, labels),
        series.volume,
        source_paths=series.paths,
        out_dir=folder / "out",
        prefix="x",
        settings=ReportSettings(send_empty_seg=not lesions),
    )
    return Result(
        series=series, labels=labels, paths={each.kind.value: each.path for each in written}
    )


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return make_result(tmp_path_factory.mktemp("result"))


def save(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def overlap(mask: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return 2 * float((mask & other).sum()) / float(mask.sum() + other.sum())


@pytest.mark.parametrize("enhanced", [False, True])
def test_structure_set_read_back_is_the_mask(tmp_path: Path, enhanced: bool) -> None:
    result = make_result(tmp_path, enhanced=enhanced)
    seg = result.read("seg")
    made = dcmread(save(build_rtstruct(seg), tmp_path / "rtstruct.dcm"))
    outlines = read_outlines(made)
    assert [outline.name for outline in outlines] == ["Lesion 1", "Lesion 2"]
    for outline in outlines:
        filled = rasterise_outline(outline, result.series.volume.geometry)
        assert overlap(filled, result.labels == outline.number) >= 0.98
        assert outline.frame_of_reference_uid == seg.FrameOfReferenceUID
    assert referenced_series(made) == (result.series.volume.series_instance_uid,)
    images = {
        (item.ReferencedSOPInstanceUID, int(item.get("ReferencedFrameNumber") or 1))
        for region in made.ROIContourSequence
        for contour in region.ContourSequence
        for item in contour.ContourImageSequence
    }
    volume = result.series.volume
    drawn = np.flatnonzero(result.labels.any(axis=(1, 2)))
    assert images == {(volume.source_uids[k], volume.source_frames[k]) for k in drawn}


@pytest.mark.parametrize("enhanced", [False, True])
def test_label_map_is_the_mask_for_two_decoders(tmp_path: Path, enhanced: bool) -> None:
    result = make_result(tmp_path, enhanced=enhanced)
    path = save(build_labelmap(result.read("seg")), tmp_path / "labelmap.dcm")
    made = dcmread(path)
    assert made.SOPClassUID == made.file_meta.MediaStorageSOPClassUID == LABEL_MAP_STORAGE
    slices = list(
        zip(result.series.volume.source_uids, result.series.volume.source_frames, strict=True)
    )
    found = np.zeros_like(result.labels)
    for pixels, group in zip(made.pixel_array, made.PerFrameFunctionalGroupsSequence, strict=True):
        (item,) = group.DerivationImageSequence[0].SourceImageSequence
        frame = int(item.get("ReferencedFrameNumber") or 1)
        found[slices.index((item.ReferencedSOPInstanceUID, frame))] = pixels
    assert np.array_equal(found, result.labels)
    assert [segment.SegmentNumber for segment in made.SegmentSequence] == [1, 2]
    decoded, astray = decode_with_dcmqi(path, tmp_path / "dcmqi", result.series.volume.geometry)
    assert astray == 0
    assert np.array_equal(decoded, result.labels)
    assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([path, *result.series.paths]) == []


@pytest.mark.parametrize(
    ("rows", "columns", "fits"),
    [(512, 512, True), (40, 48, True), (253, 251, False), (120, 45, False), (3, 8, False)],
)
def test_sizes_that_viewers_read_as_binary(rows: int, columns: int, fits: bool) -> None:
    assert fits_binary_readers(rows, columns) is fits


def test_structure_set_names_lesions_as_the_seg_does(result: Result) -> None:
    seg = result.read("seg")
    made = build_rtstruct(seg)
    for segment, region, told in zip(
        seg.SegmentSequence,
        made.StructureSetROISequence,
        made.RTROIObservationsSequence,
        strict=True,
    ):
        assert region.TrackingUID == segment.TrackingUID
        assert (
            told.RTROIIdentificationCodeSequence[0].CodeValue
            == segment.SegmentedPropertyTypeCodeSequence[0].CodeValue
        )


def test_contours_have_the_mask_within_whatever_its_shape() -> None:
    generator = np.random.default_rng(5)
    for _ in range(40):
        mask = generator.random((19, 23)) < generator.uniform(0.1, 0.9)
        even_odd = np.zeros_like(mask)
        union = np.zeros_like(mask)
        for polygon in trace_mask(mask):
            inside = polygon2mask(mask.shape, polygon)
            even_odd ^= inside
            union |= inside
        # readers that add contours up and readers that count them even-odd see the same
        assert (even_odd == mask).all()
        assert (union == mask).all()


def test_ring_with_an_island_is_two_contours() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:18, 2:18] = True
    mask[5:15, 5:15] = False
    mask[8:12, 8:12] = True
    assert len(trace_mask(mask)) == 2
    assert trace_mask(np.zeros((4, 4), bool)) == []


def test_picture_has_its_banner_and_can_be_read_at_512_pixels(result: Result) -> None:
    picture = read_capture(result.paths["capture"])
    assert picture.shape == (1024, 1024, 3)
    small = np.asarray(Image.fromarray(picture).resize((512, 512), Image.Resampling.LANCZOS))
    bright = small[: int(0.07 * 512)].min(axis=2) > 140
    rows = np.flatnonzero(bright.any(axis=1))
    assert rows[-1] - rows[0] + 1 >= 9  # letters of 9 pixels and more


def test_secondary_capture_holds_the_picture_and_names_its_sources(result: Result) -> None:
    seg, picture = result.read("seg"), read_capture(result.paths["capture"])
    made = build_secondary_capture(picture, seg)
    assert (made.pixel_array == picture).all()
    assert (made.BurnedInAnnotation, made.ConversionType) == ("YES", "WSD")
    slice_of = {uid: k for k, uid in enumerate(result.series.volume.source_uids)}
    shown = [slice_of[item.ReferencedSOPInstanceUID] for item in made.SourceImageSequence]
    for number in (1, 2):
        pixels = (result.labels == number).sum(axis=(1, 2))
        assert max(pixels[k] for k in shown) == pixels.max()
    assert 1 <= len(shown) <= 2


def test_key_object_points_at_the_slices_and_the_picture(result: Result) -> None:
    seg = result.read("seg")
    capture = build_secondary_capture(read_capture(result.paths["capture"]), seg)
    made = build_key_object(seg, capture)
    pointed = [
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        for item in made.ContentSequence
        if item.ValueType == "IMAGE"
    ]
    assert pointed[-1] == capture.SOPInstanceUID
    assert set(pointed[:-1]) <= set(result.series.volume.source_uids)
    told = {
        item.ReferencedSOPInstanceUID
        for study in made.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert told == set(pointed)


def codes_in(dataset: Dataset) -> list[str]:
    found = []
    for item in dataset.get("ContentSequence", ()):
        names = item.get("ConceptNameCodeSequence")
        found += [str(names[0].get("CodeValue"))] if names else []
        found += codes_in(item)
    return found


def test_report_without_segments_keeps_everything_else(result: Result) -> None:
    sr, seg = result.read("sr"), result.read("seg")
    made = without_segments(sr)
    before, after = codes_in(sr), codes_in(made)
    assert [code for code in before if code not in ("121191", "121232")] == after
    assert len(before) == len(after) + 4  # two groups, a segment and a source series each
    assert str(seg.SOPInstanceUID) in str(sr)
    assert str(seg.SOPInstanceUID) not in str(made)
    assert SegmentationStorage not in str(made)
    assert made.SOPInstanceUID != sr.SOPInstanceUID


@pytest.mark.parametrize("sop_class", [ComprehensiveSRStorage, EnhancedSRStorage])
def test_report_of_another_class_says_the_same(result: Result, sop_class: str) -> None:
    sr = result.read("sr")
    made = recast_sr(sr, sop_class)
    assert made.SOPClassUID == made.file_meta.MediaStorageSOPClassUID == sop_class
    assert made.ContentSequence == sr.ContentSequence
    assert made.SOPInstanceUID != sr.SOPInstanceUID


def test_made_again_they_have_the_same_uids_and_bytes(result: Result, tmp_path: Path) -> None:
    def make(folder: Path) -> list[bytes]:
        folder.mkdir()
        seg, sr = result.read("seg"), result.read("sr")
        capture = build_secondary_capture(read_capture(result.paths["capture"]), seg)
        made = {
            "rtstruct": build_rtstruct(seg),
            "labelmap": build_labelmap(seg),
            "sc": capture,
            "ko": build_key_object(seg, capture),
            "sr": recast_sr(without_segments(sr), EnhancedSRStorage),
        }
        uids = {str(dataset.SOPInstanceUID) for dataset in made.values()}
        series = {str(dataset.SeriesInstanceUID) for dataset in made.values()}
        assert len(uids | series) == 10
        return [save(dataset, folder / name).read_bytes() for name, dataset in made.items()]

    assert make(tmp_path / "one") == make(tmp_path / "two")


def test_judges_find_no_error(result: Result, tmp_path: Path) -> None:
    seg, sr = result.read("seg"), result.read("sr")
    capture = build_secondary_capture(read_capture(result.paths["capture"]), seg)
    paths = [
        save(dataset, tmp_path / f"{name}.dcm")
        for name, dataset in {
            "rtstruct": build_rtstruct(seg),
            "sc": capture,
            "ko": build_key_object(seg, capture),
            "labelmap": build_labelmap(seg),
            "plain": without_segments(sr),
            "comprehensive": recast_sr(sr, ComprehensiveSRStorage),
            "enhanced": recast_sr(without_segments(sr), EnhancedSRStorage),
        }.items()
    ]
    assert {path.name: dciodvfy_errors(path) for path in paths} == {path.name: [] for path in paths}
    told = dcentvfy_errors([*paths, *result.series.paths, result.paths["seg"]])
    # a structure set names its study as if that were an object (PS3.3 C.8.8.5)
    assert [line for line in told if str(seg.StudyInstanceUID) not in line] == []


def test_stand_ins_of_an_empty_seg_are_faultless(tmp_path: Path) -> None:
    result = make_result(tmp_path, lesions=0)
    seg = result.read("seg")
    capture = build_secondary_capture(read_capture(result.paths["capture"]), seg)
    assert "SourceImageSequence" not in capture
    made = {
        "sc": capture,
        "ko": build_key_object(seg, capture),
        "rtstruct": build_rtstruct(seg),
        "labelmap": build_labelmap(seg),
    }
    paths = [save(dataset, tmp_path / f"{name}.dcm") for name, dataset in made.items()]
    assert {path.name: dciodvfy_errors(path) for path in paths} == {path.name: [] for path in paths}
