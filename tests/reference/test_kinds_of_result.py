"""Every kind of result before dciodvfy and PixelMed: no object of any of them has an error."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from factories_priors import make_comparison, make_document
from factories_report import MODEL, SeriesOnDisk, axes, make_labels, make_report, make_series
from judges_dicom import dcentvfy_errors, dciodvfy_errors, pixelmed_sr_errors
from pydicom import Dataset, dcmread

from node.config.settings import ReportSettings
from node.domain.errors import Problem
from node.domain.finding import INDETERMINATE, Finding
from node.domain.intake import Arrival, Completeness
from node.domain.report import Report
from node.report.capture import draw_capture, read_capture
from node.report.key_object import build_key_object
from node.report.not_evaluable import build_not_evaluable, reasons_of
from node.report.secondary_capture import build_secondary_capture
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr

SHAPE = (8, 64, 48)


def problem(code: str) -> Problem:
    return Problem(
        code=code, found=f"{code} ≥ 1", expected="a stack", remedy="send it whole", uid="1.2.3"
    )


def positive(series: SeriesOnDisk) -> Report:
    return make_report(series.volume, make_labels(SHAPE, 3))


def negative(series: SeriesOnDisk) -> Report:
    return make_report(series.volume, make_labels(SHAPE, 0))


def partial(series: SeriesOnDisk) -> Report:
    lacking = Completeness(
        arrival=Arrival.INCOMPLETE, missing=2, limitations=("Slices 3 and 4 are missing.",)
    )
    return replace(positive(series), completeness=lacking)


def out_of_distribution(series: SeriesOnDisk) -> Report:
    report = make_report(series.volume, make_labels(SHAPE, 2))
    unsure = (
        Finding(
            lesion_number=each.lesion_number,
            malignancy_probability=None,
            assessment=INDETERMINATE,
            reason="Features lie outside the training range (novelty ≥ 0.99).",
        )
        for each in report.findings
    )
    return replace(report, findings=tuple(unsure))


def follow_up(series: SeriesOnDisk) -> Report:
    report = positive(series)
    return replace(report, comparison=make_comparison(report.segmentation))


KINDS: dict[str, Callable[[SeriesOnDisk], Report]] = {
    "positive": positive,
    "negative": negative,
    "partial": partial,
    "out of distribution": out_of_distribution,
    "follow-up": follow_up,
}
NOT_EVALUABLE = {
    "images missing": ("single-slice", "missing-slices", "incomplete-study"),
    "wrong images": ("role-missing", "mixed-orientation", "undecodable-pixels"),
}


def save(folder: Path, **objects: Dataset) -> dict[str, Path]:
    paths = {}
    for name, made in objects.items():
        paths[name] = folder / f"{name}.dcm"
        made.save_as(paths[name], enforce_file_format=True)
    return paths


def judge(series: SeriesOnDisk, paths: dict[str, Path]) -> None:
    told = {f"dciodvfy {name}": dciodvfy_errors(path) for name, path in paths.items()}
    # the objects of the earlier examination, which a follow-up names, are in another study
    earlier = [make_document(name).sop_instance_uid for name in ("sr", "seg")]
    told["dcentvfy"] = [
        line
        for line in dcentvfy_errors([*series.paths, *paths.values()])
        if not any(f"- {uid} for" in line for uid in earlier)
    ]
    told["PixelMed sr"] = pixelmed_sr_errors(paths["sr"])
    for judged, errors in told.items():
        print(f"{judged}: {len(errors)} errors")
    assert {judged: errors for judged, errors in told.items() if errors} == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_no_object_of_a_result_has_an_error(tmp_path: Path, kind: str) -> None:
    series = make_series(tmp_path / "im", axes(shape=SHAPE))
    report = KINDS[kind](series)
    sources = read_sources(series.paths, series.volume.source_uids)
    seg = build_seg(report, sources, settings=ReportSettings())
    sr = build_sr(report, sources, seg, settings=ReportSettings(), volume=series.volume)
    objects = {"sr": sr}
    if seg is not None:
        picture = draw_capture(series.volume, report, tmp_path / "capture.png")
        capture = build_secondary_capture(read_capture(picture), seg)
        objects |= {"seg": seg, "sc": capture, "ko": build_key_object(seg, capture)}
    assert (seg is None) == (kind == "negative")
    assert sr.CompletionFlag == ("PARTIAL" if kind == "partial" else "COMPLETE")
    judge(series, save(tmp_path, **objects))


@pytest.mark.slow
@pytest.mark.parametrize("why", NOT_EVALUABLE)
def test_the_report_of_what_was_not_evaluated_has_no_error(tmp_path: Path, why: str) -> None:
    series = make_series(tmp_path / "im", axes(shape=SHAPE))
    sources = read_sources(series.paths, series.volume.source_uids)
    problems = tuple(problem(code) for code in NOT_EVALUABLE[why])
    sr = build_not_evaluable(problems, sources, model=MODEL, settings=ReportSettings())
    paths = save(tmp_path, sr=sr)
    judge(series, paths)


def values_of(sr: Dataset, concept: str) -> list[str]:
    found = []
    for item in sr.get("ContentSequence", ()):
        names = item.get("ConceptNameCodeSequence")
        if names and names[0].get("CodeValue") == concept and item.ValueType == "CODE":
            found.append(str(item.ConceptCodeSequence[0].CodeValue))
        found += values_of(item, concept)
    return found


def texts_of(sr: Dataset) -> list[str]:
    found = [str(sr.TextValue)] if "TextValue" in sr else []
    return found + [text for item in sr.get("ContentSequence", ()) for text in texts_of(item)]


def test_the_reasons_are_coded_and_the_document_is_the_same_each_time(tmp_path: Path) -> None:
    series = make_series(tmp_path / "im", axes(shape=SHAPE))
    sources = read_sources(series.paths, series.volume.source_uids)
    problems = tuple(problem(code) for code in ("missing-slices", "uneven-spacing", "uneven-shift"))
    one, other = (
        build_not_evaluable(problems, sources, model=MODEL, settings=ReportSettings())
        for _ in range(2)
    )
    assert one.SOPInstanceUID == other.SOPInstanceUID
    assert values_of(one, "PRESENCE") == ["373121007", "373121007"]
    assert values_of(one, "NOT_EVALUATED_BY") == ["110523", "GEOMETRY"]
    assert [code.value for code in reasons_of([problem("body-part")])] == ["WRONG_IMAGES"]
    told = texts_of(dcmread(save(tmp_path, sr=one)["sr"]))
    assert "NOT EVALUATED: nothing is said about Neoplasm. 8 images were received." in told
    assert "uneven-spacing: found uneven-spacing >= 1; expected a stack." in told
    named = {
        item.ReferencedSOPInstanceUID
        for study in one.CurrentRequestedProcedureEvidenceSequence
        for each in study.ReferencedSeriesSequence
        for item in each.ReferencedSOPSequence
    }
    assert named == set(series.volume.source_uids)
