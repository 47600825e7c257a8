"""Headers of sources: gaps filled, originals left alone."""

import pytest
from factories_report import axes, make_labels, make_report, make_series
from pydicom import dcmread

from node.config.settings import ReportSettings
from node.report import write
from node.report.fault import ReportFault
from node.report.sources import NEEDED_KEYWORDS, complete_headers, content_moment, read_sources


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch):
    for draw in ("draw_overlay", "draw_capture"):
        monkeypatch.setattr(write, draw, lambda _volume, _report, path, **_: path)


def _write(series, folder, lesions=1):
    report = make_report(series.volume, make_labels(series.volume.geometry.shape, lesions))
    return write.write_evidence(
        report,
        series.volume,
        source_paths=series.paths,
        out_dir=folder,
        prefix="x",
        settings=ReportSettings(),
    )


@pytest.mark.parametrize("left_out", [*NEEDED_KEYWORDS, "FrameOfReferenceUID", "ContentDate"])
def test_a_missing_attribute_stops_nothing(tmp_path, left_out):
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)), left_out=(left_out,))
    assert len(_write(series, tmp_path / "out")) == 4


def test_results_say_what_the_source_says_even_if_it_is_odd(tmp_path):
    odd = {"PatientSex": "X", "PatientBirthDate": "", "StudyTime": "1011", "Laterality": "L"}
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)), headers=odd)
    for evidence in _write(series, tmp_path / "out")[:2]:
        result = dcmread(evidence.path)
        assert result.PatientSex == "X"
        assert result.StudyTime == "1011"
        assert result.Laterality == "L"
        assert result.BodyPartExamined == "BRAIN"


def test_completion_leaves_the_headers_alone(tmp_path):
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)), left_out=("StudyID",))
    sources = read_sources(series.paths, series.volume.source_uids)
    completed = complete_headers(sources)
    assert "StudyID" in completed[0]
    assert "StudyID" not in sources[0]


def test_a_method_of_deidentification_that_is_not_told_is_said_to_be_so(tmp_path):
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)))
    header = dcmread(series.paths[0], stop_before_pixels=True)
    header.PatientIdentityRemoved = "YES"
    (completed,) = complete_headers([header])
    assert completed.DeidentificationMethod == "Not told by the source images"
    header.DeidentificationMethod = "by hand"
    (completed,) = complete_headers([header])
    assert completed.DeidentificationMethod == "by hand"


def test_sources_come_in_the_order_of_the_slices(tmp_path):
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)), reversed_files=True)
    sources = read_sources(series.paths, series.volume.source_uids)
    assert tuple(source.SOPInstanceUID for source in sources) == series.volume.source_uids


def test_a_missing_file_is_a_fault(tmp_path):
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)))
    with pytest.raises(ReportFault, match="1 slices"):
        read_sources(series.paths[1:], series.volume.source_uids)


def test_moment_falls_back_and_never_invents(tmp_path):
    series = make_series(tmp_path / "im", axes(shape=(4, 16, 16)))
    header = dcmread(series.paths[0], stop_before_pixels=True)
    assert content_moment(header) == ("20240312", "101500")
    header.AcquisitionTime = "nonsense"
    assert content_moment(header) == ("20240312", "000000")
    for event in ("Acquisition", "Content", "Series", "Study"):
        setattr(header, f"{event}Date", "")
    assert content_moment(header) == ("19000101", "000000")
