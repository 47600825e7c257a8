"""Reports of bundles that only outline, or tell no tumour type: nothing is made up."""

from dataclasses import replace

import pytest
from factories_report import MODEL, axes, make_labels, make_report, make_series
from judges_dicom import dciodvfy_errors
from pydicom import dcmread

from node.config.settings import ReportSettings
from node.domain.report import Report
from node.report.fault import ReportFault
from node.report.write import write_evidence

SHAPE = (8, 40, 48)


def without_classifier(report: Report) -> Report:
    return replace(report, findings=(), model=replace(MODEL, classifier_name=""))


def without_type(report: Report) -> Report:
    findings = [replace(f, predicted_type="", type_probabilities={}) for f in report.findings]
    return replace(report, findings=tuple(findings))


def write(folder, change, lesions=2):
    series = make_series(folder / "im", axes(shape=SHAPE))
    report = change(make_report(series.volume, make_labels(SHAPE, lesions)))
    return write_evidence(
        report,
        series.volume,
        source_paths=series.paths,
        out_dir=folder / "out",
        prefix="x",
        settings=ReportSettings(),
    )


@pytest.mark.parametrize("change", [without_classifier, without_type])
def test_seg_and_sr_are_valid_and_the_overlay_is_drawn(tmp_path, change):
    seg, sr, overlay, _capture = write(tmp_path, change)
    assert dciodvfy_errors(seg.path) == []
    assert dciodvfy_errors(sr.path) == []
    assert overlay.path.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("change", "absent", "present"),
    [
        (
            without_classifier,
            ("MALIGNANCY", "TUMOUR_TYPE", "Probability of cancer", "SVM"),
            ("Volume", "Long Axis"),
        ),
        (without_type, ("TUMOUR_TYPE",), ("MALIGNANCY", "Probability of cancer")),
    ],
)
def test_the_report_says_what_is_known_and_no_more(tmp_path, change, absent, present):
    _, sr, *_ = write(tmp_path, change)
    text = dcmread(sr.path).to_json()
    assert [word for word in absent if word in text] == []
    assert [word for word in present if word not in text] == []


def test_a_model_with_a_classifier_must_have_findings(tmp_path):
    with pytest.raises(ReportFault, match="findings"):
        write(tmp_path, lambda report: replace(report, findings=()))
