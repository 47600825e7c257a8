"""The PDF report: what its pages say, in both languages, for every kind of result."""

import re
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import structlog
from factories_report import MODEL, SeriesOnDisk, axes, make_labels, make_report, make_series
from judges_dicom import dciodvfy_errors
from pydicom import dcmread
from tools import require_dcmtk, require_tool

from node.config.settings import ReportSettings
from node.domain.finding import INDETERMINATE
from node.domain.intake import Arrival, Completeness, DocumentRef
from node.domain.model_facts import LesionPlace, ModelFigure, TrainingCloud
from node.domain.prior import (
    Comparison,
    LesionChange,
    LesionStatus,
    PriorExam,
    RecistAssessment,
    Registration,
    Response,
)
from node.domain.report import Report
from node.language import Readers, words_of
from node.report.encapsulated_pdf import build_encapsulated_pdf
from node.report.paper import document
from node.report.paper.document import write_paper
from node.report.sources import read_sources
from node.report.write import write_evidence

SHAPE = (6, 40, 48)
LANGUAGES = ("en", "zh")
NAME = "Wang^XiaoDong=王^小东"


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> SeriesOnDisk:
    folder = tmp_path_factory.mktemp("images")
    headers = {"PatientName": NAME, "PatientID": "P-4711"}
    return make_series(folder, axes(shape=SHAPE), headers=headers)


def report_of(series: SeriesOnDisk, lesions: int) -> Report:
    report = make_report(series.volume, make_labels(SHAPE, lesions))
    contributions = {
        "original_shape_Sphericity": 1.25,
        "wavelet-LLH_glszm_LargeAreaHighGrayLevelEmphasis": -0.5,
    }
    points = np.random.default_rng(7).normal(size=(60, 2))
    return replace(
        report,
        findings=tuple(replace(each, contributions=contributions) for each in report.findings),
        figures={"dice": ModelFigure(value=0.78, low=0.71, high=0.83, patients=40)},
        cloud=TrainingCloud(
            points=points,
            labels=("glioma", "meningioma") * 30,
            explained=(0.4, 0.15),
            feature_count=125,
            places={
                lesion.number: LesionPlace(x=0.5, y=-0.5, distance=0.38, undefined=0)
                for lesion in report.segmentation.lesions
            },
        ),
    )


def comparison_of(report: Report) -> Comparison:
    document = DocumentRef(
        study_instance_uid="1.2",
        series_instance_uid="1.2.1",
        sop_class_uid="1.2.2",
        sop_instance_uid="1.2.3",
    )
    first = report.segmentation.lesions[0]
    return Comparison(
        prior=PriorExam(
            study_instance_uid="1.2",
            series_instance_uid="1.2.1",
            study_date=date(2023, 12, 3),
            report=document,
            segmentation=document,
            bundle="b",
            version="1",
            digest="d",
            origin="this node",
        ),
        interval_days=100,
        registration=Registration(
            is_trusted=True,
            reason="",
            matrix=(1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0),
            rotation_degrees=1,
            translation_mm=2,
            correlation=0.9,
            overlap=0.95,
            shares_frame_of_reference=False,
        ),
        changes=(
            LesionChange(
                status=LesionStatus.MATCHED,
                tracking_id="Lesion 1",
                tracking_uid=first.tracking_uid,
                lesion_number=1,
                volume_before_ml=1.0,
                volume_after_ml=1.5,
                long_axis_before_mm=10.0,
                long_axis_after_mm=12.0,
                doubling_time_days=171.0,
            ),
            LesionChange(
                status=LesionStatus.VANISHED,
                tracking_id="Lesion 2",
                tracking_uid="1.9",
                volume_before_ml=0.5,
                long_axis_before_mm=8.0,
            ),
            LesionChange(
                status=LesionStatus.NOT_COVERED,
                tracking_id="Lesion 3",
                tracking_uid="1.10",
                volume_before_ml=0.75,
                long_axis_before_mm=9.0,
            ),
        ),
        total_volume_before_ml=2.25,
        total_volume_after_ml=1.5,
        recist=RecistAssessment(category=Response.STABLE, rule=""),
    )


def write(report: Report, series: SeriesOnDisk, language: str, folder: Path) -> Path:
    header = dcmread(series.paths[0], stop_before_pixels=True)
    path = folder / f"{language}.pdf"
    path.write_bytes(
        write_paper(report, series.volume, header, words=words_of(language), objects=["SR 2.25.1"])
    )
    return path


def told_in(path: Path) -> str:
    """Text of a PDF by poppler, with single spaces."""
    command = [require_tool("pdftotext"), "-layout", str(path), "-"]
    text = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    return " ".join(text.split())


def pages_of(path: Path) -> int:
    command = [require_tool("pdfinfo"), str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return int(re.search(r"Pages:\s+(\d+)", text)[1])


def check_frame(path: Path, language: str) -> None:
    """One or two pages, each with the banner; every font embedded."""
    pages = pages_of(path)
    assert pages in (1, 2)
    banner = words_of(language).gettext("AI - research use, not for diagnosis")
    for page in range(1, pages + 1):
        command = [require_tool("pdftotext"), "-f", str(page), "-l", str(page), str(path), "-"]
        told = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
        assert told.count(banner) == 2, f"page {page} has no banner at its head and foot"
    command = [require_tool("pdffonts"), str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    fonts = [line.split() for line in lines.splitlines()[2:]]
    assert fonts
    assert all(font[-5] == "yes" for font in fonts), lines


@pytest.mark.parametrize("language", LANGUAGES)
def test_lesions_reasons_and_model_are_told(
    series: SeriesOnDisk, tmp_path: Path, language: str
) -> None:
    report = report_of(series, 3)
    path = write(report, series, language, tmp_path)
    check_frame(path, language)
    told = told_in(path)
    for lesion in report.segmentation.lesions:
        assert f"{lesion.volume_ml:.2f}" in told
        assert f"{lesion.long_axis_mm:.1f} × {lesion.short_axis_mm:.1f}" in told
    wanted = {
        "en": ("3 lesions found", "malignant", "88 %", "Sphericity (IBSI QCFX)", "glioma"),
        "zh": ("发现 3 个病灶", "恶性", "88 %", "球形度 (IBSI QCFX)", "胶质瘤"),
    }[language]
    for text in (*wanted, "+1.25", MODEL.version, MODEL.digest, "SR 2.25.1", "0.71 – 0.83"):
        assert text in told, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_negative_result_says_what_was_looked_at(
    series: SeriesOnDisk, tmp_path: Path, language: str
) -> None:
    path = write(report_of(series, 0), series, language, tmp_path)
    check_frame(path, language)
    told = told_in(path)
    wanted = {
        "en": ("No neoplasm found", "does not rule out", "6 MR slices", "48 × 40 pixels"),
        "zh": ("未发现肿瘤", "不能排除", "共 6 层", "48 × 40 像素"),
    }[language]
    for text in wanted:
        assert text in told, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_partial_result_says_so_on_every_page(
    series: SeriesOnDisk, tmp_path: Path, language: str
) -> None:
    limitation = (
        "series number 2: about 7 slices are missing in gaps; only the longest run of 6 slices "
        "without a gap was evaluated."
    )
    report = replace(
        report_of(series, 1),
        completeness=Completeness(arrival=Arrival.INCOMPLETE, missing=7, limitations=(limitation,)),
    )
    path = write(report, series, language, tmp_path)
    check_frame(path, language)
    told = told_in(path)
    assert told.count(words_of(language).gettext("PARTIAL")) >= pages_of(path) + 1
    assert {"en": limitation, "zh": "中间约缺 7 层；仅评估了最长的连续 6 层"}[language] in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_evaluable_is_told_with_the_reason(
    series: SeriesOnDisk, tmp_path: Path, language: str
) -> None:
    report = report_of(series, 1)
    finding = replace(
        report.findings[0],
        assessment=INDETERMINATE,
        malignancy_probability=None,
        reason="outside the training range: novelty 3.10, limit 2.50",
    )
    path = write(replace(report, findings=(finding,)), series, language, tmp_path)
    told = told_in(path)
    wanted = {
        "en": ("indeterminate, probability not evaluable", "novelty 3.10, limit 2.50"),
        "zh": ("性质未定，概率无法评估", "新颖度 3.10，上限 2.50"),
    }[language]
    for text in wanted:
        assert text in told, text


@pytest.mark.parametrize("language", LANGUAGES)
def test_change_since_the_earlier_examination_is_told(
    series: SeriesOnDisk, tmp_path: Path, language: str
) -> None:
    report = report_of(series, 1)
    report = replace(report, comparison=comparison_of(report))
    path = write(report, series, language, tmp_path)
    check_frame(path, language)
    told = told_in(path)
    wanted = {
        "en": ("Change since 3 Dec 2023 (100 days)", "171 days", "vanished"),
        "zh": ("与 2023年12月3日 检查比较", "SD（疾病稳定）", "171 天", "消失"),
    }[language]
    for text in (*wanted, "1.00 → 1.50", "+50 %", "0.50 → –", "-100 %", "0.75 → –", "SD"):
        assert text in told, text
    assert told.count("-100 %") == 2, "what the images do not cover is not gone"


def test_a_model_that_only_outlines_assesses_nothing(series: SeriesOnDisk, tmp_path: Path) -> None:
    report = replace(report_of(series, 2), findings=(), cloud=None, figures={})
    told = told_in(write(report, series, "en", tmp_path))
    assert "not assessed" in told
    assert "Reasons of the classifier" not in told


def test_many_lesions_and_remarks_keep_to_two_pages(series: SeriesOnDisk, tmp_path: Path) -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for number in range(1, 31):
        row, column = divmod(number - 1, 6)
        labels[1:4, 6 * row + 2 : 6 * row + 5, 7 * column + 2 : 7 * column + 6] = number
    report = report_of(series, 1)
    many = make_report(series.volume, labels)
    finding = report.findings[0]
    report = replace(
        report,
        segmentation=many.segmentation,
        findings=tuple(
            replace(finding, lesion_number=lesion.number, reason="too close to call " * 6)
            for lesion in many.segmentation.lesions
        ),
        remarks=("something that a reader should know of this case, in a sentence " * 3,) * 20,
    )
    change = comparison_of(report)
    long = "what hinders the comparison, in a sentence of some length " * 4
    report = replace(
        report,
        comparison=replace(change, changes=change.changes * 10, remarks=(long,) * 6),
        completeness=Completeness(arrival=Arrival.INCOMPLETE, missing=7, limitations=(long,) * 9),
        model=replace(MODEL, limitations=long * 3),
    )
    path = write(report, series, "en", tmp_path)
    assert pages_of(path) == 2
    told = told_in(path)
    assert "30 lesions found" in told
    assert re.search(r"and \d+ more, together", told)
    assert len(re.findall(r"further remarks \(\d+\): see", told)) == 3
    assert "further remarks (5): see" in told, "limitations of missing images"
    assert re.search(r"\band \d+ more: see the structured report", told), "changes"


@pytest.mark.parametrize(("name", "shown"), [("W" * 64, "W... · "), ("Doe", "Doe · ")])
def test_the_foot_keeps_number_and_date_whatever_the_name(
    series: SeriesOnDisk, tmp_path: Path, name: str, shown: str
) -> None:
    headers = {"PatientName": name, "PatientID": "P" * 64}
    named = make_series(tmp_path / "images", axes(shape=SHAPE), headers=headers)
    told = told_in(write(report_of(named, 1), named, "en", tmp_path))
    assert f"{shown}{'P' * 64} · 12 Mar 2024 Page 1" in told, told[-600:]


def test_results_that_no_page_holds_go_without_paper(
    series: SeriesOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "MOST_PAGES", 0)
    written = write_evidence(
        report_of(series, 1),
        series.volume,
        source_paths=series.paths,
        out_dir=tmp_path,
        prefix="x",
        settings=ReportSettings(),
        readers=Readers(papers=("en",)),
    )
    assert [each.kind for each in written] == ["seg", "sr", "overlay", "capture"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_report_has_the_same_bytes(
    series: SeriesOnDisk, tmp_path: Path, language: str
) -> None:
    report = report_of(series, 2)
    first = write(report, series, language, tmp_path).read_bytes()
    assert write(report, series, language, tmp_path).read_bytes() == first


@pytest.mark.parametrize(
    ("character_set", "name", "expected"),
    [
        ("GB18030", NAME, "王小东 (Wang, XiaoDong)"),
        ("GB18030", "张^喆", "张喆"),
        ("GBK", "欧阳^娜娜", "欧阳娜娜"),
        ("ISO_IR 192", "Müller^Jörg^^Dr", "Müller, Dr Jörg"),
        ("ISO_IR 192", "Hong^Gildong=𠮷^田", "Hong, Gildong"),
        ("ISO_IR 100", "Doe^Jane", "Doe, Jane"),
    ],
)
def test_names_are_right_in_every_character_set(
    tmp_path: Path, character_set: str | list[str], name: str, expected: str
) -> None:
    series = make_series(
        tmp_path / "images",
        axes(shape=SHAPE),
        headers={"SpecificCharacterSet": character_set, "PatientName": name},
    )
    path = write(report_of(series, 1), series, "zh", tmp_path)
    assert expected in told_in(path)


def test_nothing_of_the_patient_is_logged(series: SeriesOnDisk, tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        written = write_evidence(
            report_of(series, 1),
            series.volume,
            source_paths=series.paths,
            out_dir=tmp_path / "out",
            prefix="x",
            settings=ReportSettings(),
            readers=Readers(papers=("en", "zh")),
        )
    assert [each.path.name for each in written if each.kind in ("paper", "pdf")] == [
        "x_report.pdf",
        "x_pdf.dcm",
        "x_report_zh.pdf",
        "x_pdf_zh.dcm",
    ]
    assert logs
    assert not re.search("Wang|王|P-4711", str(logs))


@pytest.mark.parametrize("lesions", [0, 2])
def test_the_dicom_object_is_faultless_and_holds_the_pages(
    series: SeriesOnDisk, tmp_path: Path, lesions: int
) -> None:
    report = report_of(series, lesions)
    sources = read_sources(series.paths, series.volume.source_uids)
    pages = write(report, series, "zh", tmp_path)
    made = build_encapsulated_pdf(pages.read_bytes(), report, sources, settings=ReportSettings())
    path = tmp_path / "paper.dcm"
    made.save_as(path, enforce_file_format=True)
    assert dciodvfy_errors(path) == []
    assert made.PatientName == sources[0].PatientName
    assert made.StudyInstanceUID == sources[0].StudyInstanceUID
    largest = {lesion.largest_slice for lesion in report.segmentation.lesions} or {SHAPE[0] // 2}
    shown = [item.ReferencedSOPInstanceUID for item in made.SourceInstanceSequence]
    assert set(shown) == {series.volume.source_uids[k] for k in largest}
    out = tmp_path / "out.pdf"
    subprocess.run([require_dcmtk("dcm2pdf"), str(path), str(out)], check=True, timeout=60)
    assert out.read_bytes() == pages.read_bytes()


def test_its_uid_follows_from_its_content(series: SeriesOnDisk, tmp_path: Path) -> None:
    report = report_of(series, 1)
    sources = read_sources(series.paths, series.volume.source_uids)

    def uid_of(language: str) -> str:
        pages = write(report, series, language, tmp_path).read_bytes()
        made = build_encapsulated_pdf(pages, report, sources, settings=ReportSettings())
        return str(made.SOPInstanceUID)

    assert uid_of("en") == uid_of("en")
    assert uid_of("en") != uid_of("zh")
