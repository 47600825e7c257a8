"""The structured report of a follow-up: what changed, when, and against which objects."""

from dataclasses import replace

import numpy as np
import pytest
from factories_priors import make_comparison, make_document, make_exam
from factories_report import axes, make_labels, make_report, make_series
from judges_dicom import dciodvfy_errors, pixelmed_sr_errors

from node.config.settings import ReportSettings
from node.domain.prior import RecistAssessment, Response
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr


@pytest.fixture
def built(tmp_path):
    """A function: comparison changed so -> SEG and SR of a follow-up."""
    series = make_series(tmp_path / "im", axes(shape=(8, 64, 48)))
    report = make_report(series.volume, make_labels((8, 64, 48), 3))
    sources = read_sources(series.paths, series.volume.source_uids)

    def build(*, settings=None, is_compared=True, **changed):
        comparison = make_comparison(report.segmentation, **changed) if is_compared else None
        told = replace(report, comparison=comparison)
        settings = settings or ReportSettings()
        seg = build_seg(told, sources, settings=settings)
        return seg, build_sr(told, sources, seg, settings=settings, volume=series.volume)

    return build


def groups_of(sr):
    measurements = item_of(sr, "126010")  # Imaging Measurements
    return {
        str(item.UID): group.ContentSequence
        for group in measurements.ContentSequence
        for item in group.ContentSequence
        if name_of(item) == "112040"
    }


def name_of(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def numbers_of(group):
    return {
        name_of(item): float(item.MeasuredValueSequence[0].NumericValue)
        for item in group
        if item.ValueType == "NUM"
    }


def codes_of(group):
    return {
        name_of(item): item.ConceptCodeSequence[0].CodeMeaning
        for item in group
        if item.ValueType == "CODE"
    }


def conclusion_of(sr):
    return item_of(sr, "C0034375").ContentSequence


def item_of(sr, code):
    return next(item for item in sr.ContentSequence if name_of(item) == code)


def test_each_group_tells_change_and_its_place_in_time(built):
    _, sr = built()
    grown, new, third, gone = groups_of(sr).values()
    numbers = numbers_of(grown)
    assert numbers["VOLUME_CHANGE"] == 100.0
    assert numbers["LONG_AXIS_CHANGE"] == 25.0
    assert numbers["EARLIER_VOLUME"] == pytest.approx(numbers["118565006"] / 2, abs=1e-3)
    assert numbers["DOUBLING_TIME"] == 91.0
    assert codes_of(grown)["CHANGE"] == "Increase in size"
    assert codes_of(grown)["AT_BASELINE"] == "Target Lesion at Baseline"
    assert codes_of(new)["CHANGE"] == "New"
    assert "VOLUME_CHANGE" not in numbers_of(new)
    assert "CHANGE" not in codes_of(third)  # of which nothing is told
    for group in (grown, new, third, gone):
        (point,) = [item for item in group if name_of(item) == "C2348792"]
        assert point.TextValue == "Follow-up, 70 days after 2024-01-02"


def test_a_vanished_lesion_is_absent_under_its_tracking_uid(built):
    _, sr = built()
    gone = groups_of(sr)["2.25.777"]
    assert codes_of(gone)["PRESENCE"] == "Absent"
    (told,) = [item.TextValue for item in gone if name_of(item) == "121106"]
    assert "(0.500 ml, long axis 9.00 mm); not found in this one" in told
    (segment,) = [item for item in gone if name_of(item) == "121191"]
    referenced = segment.ReferencedSOPSequence[0]
    assert referenced.ReferencedSOPInstanceUID == make_document("seg").sop_instance_uid
    assert referenced.ReferencedSegmentNumber == 2


def test_without_an_earlier_segment_a_vanished_lesion_is_told_in_words(built):
    exam = replace(make_exam(), segmentation=None)
    _, sr = built(prior=exam)
    assert "2.25.777" not in groups_of(sr)
    said = [item.TextValue for item in conclusion_of(sr) if item.ValueType == "TEXT"]
    assert "No longer found: Lesion 7." in said


def test_the_earlier_objects_are_evidence_of_another_study(built):
    _, sr = built()
    named = {
        (study.StudyInstanceUID, str(item.ReferencedSOPInstanceUID))
        for study in sr.PertinentOtherEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    documents = [make_document("sr"), make_document("seg")]
    assert named == {(each.study_instance_uid, each.sop_instance_uid) for each in documents}
    current = sr.CurrentRequestedProcedureEvidenceSequence
    assert {each.StudyInstanceUID for each in current} == {sr.StudyInstanceUID}


def test_the_conclusion_has_rule_category_and_totals(built):
    _, sr = built()
    said = " ".join(item.TextValue for item in conclusion_of(sr) if item.ValueType == "TEXT")
    assert "Compared with the examination of 2024-01-02, 70 days before (from a folder)" in said
    assert "a new lesion is progression - PD" in said
    assert "registered rigidly" in said
    codes = codes_of(conclusion_of(sr))
    assert codes["112021"] == "RECIST 1.1"
    assert codes["112048"] == "Non-Target Lesion Progressive Disease"  # by the new lesion


@pytest.mark.parametrize(
    ("category", "meaning"),
    [
        (Response.PARTIAL, "Target Lesion Partial Response"),
        (Response.STABLE, "Target Lesion Stable Disease"),
        (Response.NOT_EVALUABLE, None),
    ],
)
def test_a_category_by_targets_has_their_code(built, category, meaning):
    recist = RecistAssessment(category=category, rule="the rule", baseline_sum_mm=20.0)
    _, sr = built(recist=recist, changes=())
    assert codes_of(conclusion_of(sr)).get("112048") == meaning


def test_without_a_comparison_nothing_of_it_is_said(built):
    seg, sr = built(is_compared=False)
    assert "PertinentOtherEvidenceSequence" not in sr
    assert seg.SegmentSequence[0].SegmentLabel == "Lesion 1"
    names = {name_of(item) for group in groups_of(sr).values() for item in group}
    assert not names & {"VOLUME_CHANGE", "CHANGE", "C2348792"}


def test_segments_have_the_names_that_lesions_have_kept(built):
    seg, _ = built()
    labels = [segment.SegmentLabel for segment in seg.SegmentSequence]
    assert labels == [f"brain-t1ce lesion {number}" for number in (1, 2, 3)]


def test_uids_follow_the_comparison(built):
    _, first = built()
    _, same = built()
    _, other = built(interval_days=71)
    assert first.SOPInstanceUID == same.SOPInstanceUID
    assert first.SOPInstanceUID != other.SOPInstanceUID
    _, alone = built(is_compared=False)
    assert alone.SOPInstanceUID != first.SOPInstanceUID


def test_dciodvfy_and_pixelmed_find_no_error(built, tmp_path):
    seg, sr = built()
    for dataset, name in ((seg, "seg.dcm"), (sr, "sr.dcm")):
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        assert dciodvfy_errors(tmp_path / name) == []
    assert pixelmed_sr_errors(tmp_path / "sr.dcm") == []


def test_nor_where_every_lesion_has_gone(tmp_path):
    shape = (8, 64, 48)
    series = make_series(tmp_path / "im", axes(shape=shape))
    before = make_report(series.volume, make_labels(shape, 3))
    comparison = make_comparison(before.segmentation)
    report = replace(
        make_report(series.volume, np.zeros(shape, np.uint8)),
        comparison=replace(comparison, changes=comparison.vanished),
    )
    sources = read_sources(series.paths, series.volume.source_uids)
    sr = build_sr(report, sources, None, settings=ReportSettings(comprehensive_sr=True))
    assert set(groups_of(sr)) > {"2.25.777"}  # beside the group that says that nothing is found
    sr.save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    assert dciodvfy_errors(tmp_path / "sr.dcm") == []
    assert pixelmed_sr_errors(tmp_path / "sr.dcm") == []
