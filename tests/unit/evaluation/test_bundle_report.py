from dataclasses import replace

import numpy as np
import pytest
from factories_evaluation import ALL_MARKED, make_case_results

from node.evaluation.bundle_report import About, build_sections
from node.evaluation.case_figures import measure_cases, measure_tumour_free
from node.evaluation.figure_words import describe_size, percent, tile_of, value_of
from node.evaluation.html_report import Picture, render_html_report

ABOUT = About(
    name="brain",
    version="1.2.3",
    title="Tumours of the brain",
    purpose=["It outlines tumours."],
    data="Set X (CC BY 4.0).",
    licence="CC BY 4.0",
    limitations="No children",
    digest="ab" * 32,
)
FIGURE = {"value": 0.8312, "interval_95": [0.7777, 0.9], "median": 0.9, "patients": 7, "cases": 9}


@pytest.fixture(scope="module")
def classified():
    results = make_case_results(ALL_MARKED)
    quiet = measure_tumour_free(make_case_results([None] * 4, tumour=False), seed=1)
    split = {"with_tumour": {"train": 9, "test": 3}, "tumour_free": {}}
    return {**measure_cases(results, seed=1), "quiet": quiet, "split_patients": split}, results


def text_of(sections):
    return render_html_report(title=ABOUT.title, subtitle=ABOUT.subtitle, sections=sections)


def test_figures_in_words():
    assert value_of(FIGURE, interval=True) == "0.83 (0.78 to 0.90)"
    assert value_of({**FIGURE, "value": None}) == "not measured"
    assert percent(FIGURE) == "83 % (78 to 90 %)"
    assert describe_size(FIGURE, "slices") == "7 patients (9 slices)"
    assert tile_of(FIGURE, "a", "b", as_percent=True).interval == "95 % interval 78 to 90 %"
    assert tile_of({**FIGURE, "value": None}, "a", "b").value == "not measured"


def test_a_report_of_a_bundle_that_classifies(classified):
    figures, results = classified
    sections = build_sections(ABOUT, figures, results)
    headings = [section.heading for section in sections]
    assert headings == [
        "In short", "How well the outline fits", "Lesions found, and false marks",
        "Malignant or benign", "When it does not answer", "Groups of patients", "Limits",
        "Data and split",
    ]  # fmt: skip
    html = text_of(sections)
    assert "Measured on 3 patients (4 slices)" in html
    assert "Weakest type" in html
    assert "The test set holds no lesion of" in html
    assert "None" not in html
    assert "nan" not in html.replace("nant", "")


def test_a_share_of_1_has_an_interval_that_says_how_few_patients_it_is_of(classified):
    sections = build_sections(ABOUT, *classified)
    rows = next(s for s in sections if s.heading == "Malignant or benign").tables[0].rows
    sensitivity = next(row for row in rows if row[0].startswith("by patient: sensitivity"))
    # Wilson's interval of 1 of 1: 1 / (1 + 1.96 ** 2) to 1.
    assert sensitivity[1:] == ["1.00", "0.21 to 1.00", "1"]


def test_a_report_of_a_bundle_that_only_segments_volumes():
    results = make_case_results(ALL_MARKED, classified=False)
    results = replace(results, unit="volumes")
    figures = {**measure_cases(results, seed=1), "quiet": None}
    sections = build_sections(ABOUT, figures, results)
    assert "Malignant or benign" not in [section.heading for section in sections]
    assert "3 patients (4 volumes)" in text_of(sections)


def test_curves_and_failures_are_shown_where_there_are_some(classified):
    picture = Picture(png=b"png", caption="a curve")
    sections = build_sections(
        ABOUT, *classified, robustness=[picture], failures=[Picture(png=b"png", caption="a miss")]
    )
    headings = [section.heading for section in sections]
    assert headings.index("When images get worse") < headings.index("Where it fails")
    assert np.sum([len(section.pictures) for section in sections]) >= 8
