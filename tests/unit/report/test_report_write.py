"""Files on disk: what is written, and what never is."""

import pytest
from factories_report import axes, make_labels, make_report, make_series
from pydicom import dcmread

from node.config.settings import ReportSettings
from node.domain.report import EvidenceKind
from node.report import write
from node.report.fault import ReportFault


def _write(tmp_path, lesions):
    series = make_series(tmp_path / "im", axes(shape=(6, 24, 32)))
    report = make_report(series.volume, make_labels((6, 24, 32), lesions))
    return write.write_evidence(
        report,
        series.volume,
        source_paths=series.paths,
        out_dir=tmp_path / "out",
        prefix="study",
        settings=ReportSettings(),
    )


def test_names_and_identities(tmp_path):
    seg, sr, overlay, capture = _write(tmp_path, 1)
    assert [e.kind for e in (seg, sr, overlay, capture)] == list(EvidenceKind)[:4]
    assert [e.path.name for e in (seg, sr, overlay, capture)] == [
        "study_seg.dcm",
        "study_sr.dcm",
        "study_overlay.png",
        "study_capture.png",
    ]
    for evidence in (seg, sr):
        dataset = dcmread(evidence.path)
        assert dataset.SOPClassUID == evidence.sop_class_uid
        assert dataset.SOPInstanceUID == evidence.sop_instance_uid
        assert dataset.SeriesInstanceUID == evidence.series_instance_uid
    assert overlay.sop_instance_uid == capture.sop_instance_uid == ""


def test_negative_study_has_no_seg(tmp_path):
    assert [e.kind for e in _write(tmp_path, 0)] == [EvidenceKind.SR, EvidenceKind.OVERLAY]


def test_a_seg_that_differs_from_the_mask_is_not_left_behind(tmp_path, monkeypatch):
    right = write.build_seg

    def spoil(*args, **kwargs):
        seg = right(*args, **kwargs)
        seg.PixelData = bytes(len(seg.PixelData))
        return seg

    monkeypatch.setattr(write, "build_seg", spoil)
    with pytest.raises(ReportFault, match="voxels"):
        _write(tmp_path, 1)
    assert not list((tmp_path / "out").glob("*"))
