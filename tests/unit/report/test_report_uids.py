"""UIDs and bytes depend on content, on nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from factories_report import MODEL, axes, make_labels, make_report, make_series
from pydicom.uid import UID

from node.config.settings import ReportSettings
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr
from node.report.uids import derive_uid
from node.report.write import write_evidence

SETTINGS = ReportSettings()


def test_uid_is_valid_and_depends_on_every_part():
    uid = derive_uid("seg", "abc")
    assert UID(uid).is_valid
    assert len(uid) <= 64
    assert uid == derive_uid("seg", "abc")
    assert uid != derive_uid("sega", "bc")
    assert uid != derive_uid("abc", "seg")


@pytest.fixture
def series(tmp_path):
    return make_series(tmp_path / "im", axes(shape=(6, 24, 32)))


def _uids(series, *, labels=None, model=MODEL, settings=SETTINGS, change=None):
    report = make_report(
        series.volume,
        make_labels(series.volume.geometry.shape, 2) if labels is None else labels,
        model=model,
    )
    if change is not None:
        report = change(report)
    sources = read_sources(series.paths, series.volume.source_uids)
    seg = build_seg(report, sources, settings=settings)
    sr = build_sr(report, sources, seg, settings=settings, volume=series.volume)
    return seg.SOPInstanceUID, sr.SOPInstanceUID, seg.SeriesInstanceUID, sr.SeriesInstanceUID


def test_twice_the_same_study_gives_the_same_bytes(series, tmp_path):
    report = make_report(series.volume, make_labels(series.volume.geometry.shape, 2))
    written = [
        write_evidence(
            report,
            series.volume,
            source_paths=paths,
            out_dir=tmp_path / name,
            prefix="x",
            settings=SETTINGS,
        )
        for name, paths in (("a", series.paths), ("b", series.paths[::-1]))
    ]
    for first, second in zip(*written, strict=True):
        assert first.sop_instance_uid == second.sop_instance_uid
        assert first.path.read_bytes() == second.path.read_bytes()


def test_one_voxel_more_gives_new_uids(series):
    labels = make_labels(series.volume.geometry.shape, 2)
    grown = labels.copy()
    grown[tuple(np.argwhere(labels == 0)[-1])] = 2
    assert set(_uids(series, labels=labels)).isdisjoint(_uids(series, labels=grown))


def test_another_model_gives_new_uids(series):
    assert set(_uids(series)).isdisjoint(
        _uids(series, model=replace(MODEL, digest="60" * 32, device_uid=derive_uid("60")))
    )


def test_other_settings_give_new_uids(series):
    other = ReportSettings(seg_series_number=77, sr_series_number=78)
    assert set(_uids(series)).isdisjoint(_uids(series, settings=other))


def test_another_probability_changes_the_report_but_not_the_segmentation(series):
    def doubt(report):
        first, *rest = report.findings
        return replace(report, findings=(replace(first, malignancy_probability=0.5), *rest))

    before, after = _uids(series), _uids(series, change=doubt)
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_noise_behind_the_shown_digits_changes_nothing(series):
    def shake(report):
        first, *rest = report.findings
        return replace(
            report,
            findings=(
                replace(
                    first,
                    malignancy_probability=first.malignancy_probability + 1e-9,
                    features={name: value * (1 + 1e-10) for name, value in first.features.items()},
                ),
                *rest,
            ),
        )

    assert _uids(series) == _uids(series, change=shake)
