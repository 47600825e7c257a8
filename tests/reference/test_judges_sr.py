"""Structured reports before PixelMed's validator, the yardstick of the IHE AI Results profile."""

from dataclasses import replace

import pytest
from factories_report import MODEL, axes, make_labels, make_report, make_series
from judges_dicom import pixelmed_sr_errors
from pydicom import dcmread

from node.config.settings import ReportSettings
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr

CASES = {
    "only-outlined-mr": (2, "MR", ReportSettings()),
    "positive-ct": (3, "CT", ReportSettings()),
    "negative-mr-comprehensive": (0, "MR", ReportSettings(comprehensive_sr=True)),
}


def _write_sr(folder, lesions, modality, settings, *, is_classified=True):
    series = make_series(folder / "im", axes(shape=(8, 40, 48)), modality=modality)
    report = make_report(series.volume, make_labels((8, 40, 48), lesions))
    if not is_classified:
        report = replace(report, findings=(), model=replace(MODEL, classifier_name=""))
    sources = read_sources(series.paths, series.volume.source_uids)
    seg = build_seg(report, sources, settings=settings)
    sr = build_sr(report, sources, seg, settings=settings, volume=series.volume)
    path = folder / "sr.dcm"
    sr.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_pixelmed_finds_no_error(tmp_path, case):
    path = _write_sr(tmp_path, *CASES[case], is_classified=case != "only-outlined-mr")
    assert pixelmed_sr_errors(path) == []


@pytest.mark.slow
def test_pixelmed_can_complain(tmp_path):
    path = _write_sr(tmp_path, 0, "MR", ReportSettings())
    broken = dcmread(path)
    procedure = next(
        item
        for item in broken.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeValue == "121058"
    )
    code = procedure.ConceptCodeSequence[0]
    code.CodeValue, code.CodeMeaning = "24590-2", "MR Brain"  # LOINC, but not of context group 100
    broken.save_as(path)
    assert pixelmed_sr_errors(path)
