"""What stands in a SEG."""

import numpy as np
import pytest
from factories_report import (
    MODEL,
    axes,
    make_enhanced_series,
    make_labels,
    make_report,
    make_series,
)

from node.config.settings import ReportSettings
from node.report.fault import ReportFault
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.verify import check_seg_geometry

SETTINGS = ReportSettings()


def _build(series, lesions, settings=SETTINGS):
    report = make_report(series.volume, make_labels(series.volume.geometry.shape, lesions))
    sources = read_sources(series.paths, series.volume.source_uids)
    return report, sources, build_seg(report, sources, settings=settings)


@pytest.fixture
def series(tmp_path):
    return make_series(tmp_path / "im", axes(shape=(8, 24, 32)))


def test_identity_of_the_object(series):
    _, sources, seg = _build(series, 2)
    assert seg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    assert seg.SegmentationType == "BINARY"
    assert seg.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert seg.file_meta.MediaStorageSOPInstanceUID == seg.SOPInstanceUID
    assert seg.StudyInstanceUID == series.volume.study_instance_uid
    assert seg.SeriesInstanceUID != series.volume.series_instance_uid
    assert seg.FrameOfReferenceUID == sources[0].FrameOfReferenceUID
    assert seg.SeriesNumber == 9101
    assert "research use, not for diagnosis" in seg.SeriesDescription
    assert len(seg.SeriesDescription) <= 64
    assert seg.ContentLabel == seg.ContentLabel.upper()
    assert (seg.ContentDate, seg.ContentTime) == ("20240312", "101500")


def test_segments_are_the_lesions(series):
    report, _, seg = _build(series, 3)
    assert len(seg.SegmentSequence) == 3
    for segment, lesion in zip(seg.SegmentSequence, report.segmentation.lesions, strict=True):
        assert segment.SegmentNumber == lesion.number
        assert segment.TrackingUID == lesion.tracking_uid
        assert segment.TrackingID == lesion.tracking_id
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "108369006"
        assert segment.AnatomicRegionSequence[0].CodeValue == "12738006"
        algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
        assert algorithm.AlgorithmVersion == "1.0.0"
        assert len(segment.RecommendedDisplayCIELabValue) == 3
    colours = {tuple(s.RecommendedDisplayCIELabValue) for s in seg.SegmentSequence}
    assert len(colours) == 3


def test_all_sources_are_referenced(series):
    _, _, seg = _build(series, 1)
    listed = {
        item.ReferencedSOPInstanceUID
        for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert listed == set(series.volume.source_uids)


def test_equipment_names_the_node_and_its_model_without_a_time(series):
    _, _, seg = _build(series, 1)
    scanner, library, node = seg.ContributingEquipmentSequence
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    assert node.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert node.DeviceUID == MODEL.device_uid
    assert "brain-t1ce 1.0.0" in node.SoftwareVersions
    assert "ContributionDateTime" not in library
    assert "ContributionDateTime" not in node


def test_empty_frames_are_left_out_unless_wanted(series):
    report, _, seg = _build(series, 1)
    occupied = int(np.count_nonzero(report.segmentation.labels.any(axis=(1, 2))))
    assert seg.NumberOfFrames == occupied < 8
    _, _, full = _build(series, 1, ReportSettings(keep_empty_frames=True))
    assert full.NumberOfFrames == 8


def test_nothing_found_means_no_seg_unless_wanted(series):
    _, _, none = _build(series, 0)
    assert none is None
    report, sources, empty = _build(series, 0, ReportSettings(send_empty_seg=True))
    assert not any(empty.PixelData)
    assert len(empty.SegmentSequence) == 1
    check_seg_geometry(empty, report.segmentation, sources)


def test_enhanced_source_is_referenced_frame_by_frame(tmp_path):
    series = make_enhanced_series(tmp_path / "im", axes(shape=(6, 24, 32)))
    report, sources, seg = _build(series, 2)
    check_seg_geometry(seg, report.segmentation, sources)
    frames = {
        int(source.ReferencedFrameNumber)
        for group in seg.PerFrameFunctionalGroupsSequence
        for source in group.DerivationImageSequence[0].SourceImageSequence
    }
    occupied = np.nonzero(report.segmentation.labels.any(axis=(1, 2)))[0]
    assert frames == {series.volume.source_frames[k] for k in occupied}
    assert len(sources[0].PerFrameFunctionalGroupsSequence) == 12


def test_mask_without_its_lesion_is_a_fault(series):
    report = make_report(series.volume, make_labels(series.volume.geometry.shape, 2))
    sources = read_sources(series.paths, series.volume.source_uids)
    labels = np.where(report.segmentation.labels == 2, 0, report.segmentation.labels)
    object.__setattr__(report.segmentation, "labels", labels)
    with pytest.raises(ReportFault, match="lesions are numbered"):
        build_seg(report, sources, settings=SETTINGS)
