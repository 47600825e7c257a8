"""The second look at a SEG: passes what is right, names what is wrong."""

import numpy as np
import pytest
from factories_report import axes, make_labels, make_report, make_series
from pydicom.valuerep import DSfloat

from node.config.settings import ReportSettings
from node.report.fault import ReportFault
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.verify import check_seg_geometry, decode_frames

GRIDS = {
    "axial": axes(shape=(8, 24, 32)),
    "odd": axes(shape=(7, 23, 29)),
    "sagittal": axes(shape=(8, 24, 32), rotation_deg=(90, 0, 90)),
    "coronal": axes(shape=(8, 24, 32), rotation_deg=(-90, 0, 0)),
    "oblique": axes(shape=(8, 24, 32), rotation_deg=(20, -8, 15)),
    "tilted": axes(shape=(8, 24, 32), tilt_deg=18),
}


def _case(tmp_path, geometry=GRIDS["axial"], lesions=3, **series_options):
    series = make_series(tmp_path / "im", geometry, **series_options)
    report = make_report(series.volume, make_labels(geometry.shape, lesions))
    sources = read_sources(series.paths, series.volume.source_uids)
    return build_seg(report, sources, settings=ReportSettings()), report.segmentation, sources


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("reversed_files", [False, True])
def test_right_on_every_grid(tmp_path, grid, reversed_files):
    check_seg_geometry(*_case(tmp_path, GRIDS[grid], reversed_files=reversed_files))


def test_frames_hold_the_mask_bit_by_bit(tmp_path):
    seg, segmentation, _ = _case(tmp_path, GRIDS["odd"])
    total = sum(int(frame.pixels.sum()) for frame in decode_frames(seg))
    assert total == int(np.count_nonzero(segmentation.labels))


def test_a_flipped_bit_is_found(tmp_path):
    seg, segmentation, sources = _case(tmp_path)
    data = bytearray(seg.PixelData)
    data[len(data) // 2] ^= 0b00010000
    seg.PixelData = bytes(data)
    with pytest.raises(ReportFault, match="1 voxels"):
        check_seg_geometry(seg, segmentation, sources)


def test_swapped_segments_are_found(tmp_path):
    seg, segmentation, sources = _case(tmp_path, lesions=2)
    for group in seg.PerFrameFunctionalGroupsSequence:
        item = group.SegmentIdentificationSequence[0]
        item.ReferencedSegmentNumber = 3 - item.ReferencedSegmentNumber
    with pytest.raises(ReportFault, match="voxels"):
        check_seg_geometry(seg, segmentation, sources)


def test_a_moved_frame_is_found(tmp_path):
    seg, segmentation, sources = _case(tmp_path)
    plane = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    x, y, z = plane.ImagePositionPatient
    plane.ImagePositionPatient = [DSfloat(float(x) + 0.5, auto_format=True), y, z]
    with pytest.raises(ReportFault, match="off its source"):
        check_seg_geometry(seg, segmentation, sources)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [("PixelSpacing", ["0.8", "1"]), ("ImageOrientationPatient", ["0", "1", "0", "1", "0", "0"])],
)
def test_wrong_plane_is_found(tmp_path, keyword, value):
    seg, segmentation, sources = _case(tmp_path)
    shared = seg.SharedFunctionalGroupsSequence[0]
    for sequence in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
        if keyword in shared[sequence].value[0]:
            setattr(shared[sequence].value[0], keyword, value)
    with pytest.raises(ReportFault):
        check_seg_geometry(seg, segmentation, sources)


def test_mask_in_another_slice_order_than_its_sources_is_found(tmp_path):
    series = make_series(tmp_path / "im", GRIDS["axial"])
    report = make_report(series.volume, make_labels(GRIDS["axial"].shape, 1))
    sources = read_sources(series.paths, series.volume.source_uids)
    right = report.segmentation
    # what a careless caller does: the uids in file order, the mask in the other one
    object.__setattr__(right, "source_uids", right.source_uids[::-1])
    seg = build_seg(report, sources, settings=ReportSettings())
    with pytest.raises(ReportFault):
        check_seg_geometry(seg, right, sources)


def test_another_frame_of_reference_is_found(tmp_path):
    seg, segmentation, sources = _case(tmp_path)
    seg.FrameOfReferenceUID = "1.2.3"
    with pytest.raises(ReportFault, match="frames of reference"):
        check_seg_geometry(seg, segmentation, sources)


def test_cut_pixel_data_is_found(tmp_path):
    seg, segmentation, sources = _case(tmp_path)
    seg.PixelData = seg.PixelData[:-4]
    with pytest.raises(ReportFault, match="disagree"):
        check_seg_geometry(seg, segmentation, sources)
