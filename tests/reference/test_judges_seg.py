"""SEG and SR before the judges: dciodvfy, dcentvfy, dcmqi, dcmtk."""

import subprocess

import numpy as np
import pytest
from factories_report import (
    axes,
    make_enhanced_series,
    make_labels,
    make_report,
    make_series,
)
from judges_dicom import dcentvfy_errors, dciodvfy_errors, decode_with_dcmqi
from pydicom import dcmread
from tools import require_tool

from node.config.settings import ReportSettings
from node.report import write
from node.report.write import write_evidence

SHAPE = (8, 40, 48)
CASES = {
    "axial-one": {"geometry": axes(shape=SHAPE), "lesions": 1},
    "axial-three": {"geometry": axes(shape=SHAPE), "lesions": 3},
    "odd": {"geometry": axes(shape=(5, 253, 251)), "lesions": 3},
    "sagittal": {"geometry": axes(shape=SHAPE, rotation_deg=(90, 0, 90)), "lesions": 2},
    "coronal": {"geometry": axes(shape=SHAPE, rotation_deg=(-90, 0, 0)), "lesions": 2},
    "oblique": {"geometry": axes(shape=SHAPE, rotation_deg=(20, -8, 15)), "lesions": 2},
    "reversed": {"geometry": axes(shape=SHAPE), "lesions": 2, "reversed_files": True},
    "ct": {"geometry": axes(shape=SHAPE), "lesions": 2, "modality": "CT"},
}


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch):
    for draw in ("draw_overlay", "draw_capture"):
        monkeypatch.setattr(write, draw, lambda _volume, _report, path, **_: path)


def _write(folder, geometry, lesions, series=None, settings=None, **options):
    series = series or make_series(folder / "im", geometry, **options)
    report = make_report(series.volume, make_labels(geometry.shape, lesions))
    evidence = write_evidence(
        report,
        series.volume,
        source_paths=series.paths,
        out_dir=folder / "out",
        prefix="x",
        settings=settings or ReportSettings(),
    )
    return series, report, [item.path for item in evidence if item.sop_class_uid]


@pytest.mark.parametrize("case", CASES)
def test_no_judge_finds_an_error_and_dcmqi_finds_the_mask(tmp_path, case):
    options = dict(CASES[case])
    series, report, results = _write(tmp_path, **options)
    assert len(results) == 2
    for path in results:
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*series.paths, *results]) == []
    decoded, astray = decode_with_dcmqi(results[0], tmp_path / "dcmqi", options["geometry"])
    assert astray == 0
    assert np.array_equal(decoded, report.segmentation.labels)


def test_enhanced_source(tmp_path):
    geometry = axes(shape=SHAPE)
    series = make_enhanced_series(tmp_path / "im", geometry)
    _, report, results = _write(tmp_path, geometry, 2, series=series)
    for path in results:
        assert dciodvfy_errors(path) == []
    decoded, astray = decode_with_dcmqi(results[0], tmp_path / "dcmqi", geometry)
    assert astray == 0
    assert np.array_equal(decoded, report.segmentation.labels)


def test_gantry_tilt(tmp_path):
    # dcmqi cannot resample a sheared stack; our own decoder has compared it in millimetres
    geometry = axes(shape=SHAPE, tilt_deg=15)
    series, _, results = _write(tmp_path, geometry, 2, modality="CT")
    for path in results:
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*series.paths, *results]) == []


@pytest.mark.parametrize(
    "settings",
    [
        ReportSettings(send_empty_seg=True),
        ReportSettings(),
        ReportSettings(comprehensive_sr=True),
    ],
    ids=["empty-seg", "no-seg", "comprehensive-sr"],
)
def test_negative_study(tmp_path, settings):
    series, _, results = _write(tmp_path, axes(shape=SHAPE), 0, settings=settings)
    assert len(results) == (2 if settings.send_empty_seg else 1)
    for path in results:
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*series.paths, *results]) == []


@pytest.mark.parametrize("character_set", ["GB18030", "ISO_IR 192"])  # dciodvfy does not know GBK
def test_chinese_names(tmp_path, character_set):
    headers = {"SpecificCharacterSet": character_set, "PatientName": "Zhang^Xiao=张^小明"}
    series, _, results = _write(tmp_path, axes(shape=SHAPE), 1, headers=headers)
    for path in results:
        assert dciodvfy_errors(path) == []
    assert dcentvfy_errors([*series.paths, *results]) == []


def test_dcmtk_reads_both(tmp_path):
    _, _, (seg, sr) = _write(tmp_path, axes(shape=SHAPE), 3)
    dump = subprocess.run(
        [require_tool("dsrdump"), "-Ec", str(sr)], capture_output=True, text=True, check=True
    )
    assert not [line for line in dump.stderr.splitlines() if line.startswith(("E:", "F:"))]
    assert "Probability of cancer" in dump.stdout
    dump = subprocess.run(
        [require_tool("dcmdump"), "-q", str(seg)], capture_output=True, text=True, check=True
    )
    assert "SegmentSequence" in dump.stdout


def test_judges_can_complain(tmp_path):
    series, _, (seg, _) = _write(tmp_path, axes(shape=SHAPE), 1)
    broken = dcmread(seg)
    del broken.SegmentSequence[0].SegmentLabel
    broken.PatientID = "somebody else"
    path = tmp_path / "broken.dcm"
    broken.save_as(path)
    assert dciodvfy_errors(path)
    assert dcentvfy_errors([*series.paths, path])
