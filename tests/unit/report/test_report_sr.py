"""What stands in the structured report."""

import math
from dataclasses import replace

import pytest
from factories_report import MODEL, axes, make_labels, make_report, make_series
from judges_dicom import dciodvfy_errors
from pydicom.dataset import Dataset

from node.config.settings import ReportSettings
from node.domain.intake import Arrival, Completeness, DocumentRef
from node.domain.prompt import Prompt
from node.report.fault import ReportFault
from node.report.seg import build_seg
from node.report.sources import read_sources
from node.report.sr import build_sr

SETTINGS = ReportSettings()


def _build(tmp_path, lesions, *, modality="MR", settings=SETTINGS, headers=None, change=None):
    series = make_series(
        tmp_path / "im", axes(shape=(8, 24, 32)), modality=modality, headers=headers
    )
    report = make_report(series.volume, make_labels((8, 24, 32), lesions))
    if change is not None:
        report = change(report)
    sources = read_sources(series.paths, series.volume.source_uids)
    seg = build_seg(report, sources, settings=settings)
    sr = build_sr(report, sources, seg, settings=settings, volume=series.volume)
    return series, report, seg, sr


def _items(node: Dataset, code: str):
    """All content items below ``node`` whose concept name has this code value."""
    for item in node.get("ContentSequence", ()):
        if item.get("ConceptNameCodeSequence", [Dataset()])[0].get("CodeValue") == code:
            yield item
        yield from _items(item, code)


def _groups(sr):
    return list(_items(sr, "125007"))


def _value(group, code):
    (item,) = _items(group, code)
    return float(item.MeasuredValueSequence[0].NumericValue)


def test_flags_and_kind(tmp_path):
    *_, sr = _build(tmp_path, 1)
    assert sr.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"
    assert sr.CompletionFlag == "COMPLETE"
    assert sr.VerificationFlag == "UNVERIFIED"
    assert sr.PreliminaryFlag == "PRELIMINARY"
    assert sr.SeriesNumber == 9102
    assert len(sr.ReferencedPerformedProcedureStepSequence) == 0
    assert len(sr.PerformedProcedureCodeSequence) == 0
    assert sr.ConceptNameCodeSequence[0].CodeValue == "126000"


def test_comprehensive_sr_by_setting(tmp_path):
    *_, sr = _build(tmp_path, 1, settings=ReportSettings(comprehensive_sr=True))
    assert sr.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"


def test_evidence_lists_all_sources_and_the_segmentation(tmp_path):
    series, _, seg, sr = _build(tmp_path, 2)
    (study,) = sr.CurrentRequestedProcedureEvidenceSequence
    listed = {
        instance.ReferencedSOPInstanceUID
        for one in study.ReferencedSeriesSequence
        for instance in one.ReferencedSOPSequence
    }
    assert listed == {*series.volume.source_uids, seg.SOPInstanceUID}


def test_one_group_for_each_lesion_with_its_measurements(tmp_path):
    _, report, seg, sr = _build(tmp_path, 3)
    groups = _groups(sr)
    assert len(groups) == 3
    for group, lesion in zip(groups, report.segmentation.lesions, strict=True):
        (tracking,) = _items(group, "112040")
        assert lesion.tracking_uid == tracking.UID
        (reference,) = _items(group, "121191")
        assert reference.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == seg.SOPInstanceUID
        assert reference.ReferencedSOPSequence[0].ReferencedSegmentNumber == lesion.number
        assert _value(group, "118565006") == pytest.approx(lesion.volume_ml, abs=5e-4)
        assert _value(group, "103339001") == pytest.approx(lesion.long_axis_mm, abs=5e-3)
        assert _value(group, "103340004") == pytest.approx(lesion.short_axis_mm, abs=5e-3)
        assert _value(group, "L0JK") == pytest.approx(lesion.maximum_3d_diameter_mm, abs=5e-3)
        (site,) = _items(group, "363698007")
        assert site.ConceptCodeSequence[0].CodeValue == "12738006"


def test_assessment_probability_and_type(tmp_path):
    *_, sr = _build(tmp_path, 2)
    malignant, benign = _groups(sr)
    assert _value(malignant, "111047") == pytest.approx(87.6, abs=0.051)
    assert _value(benign, "111047") == pytest.approx(12.3, abs=0.051)
    for group, assessment, kind in (
        (malignant, "21594007", "393564001"),
        (benign, "30807003", "302820008"),
    ):
        (item,) = _items(group, "MALIGNANCY")
        assert item.ConceptCodeSequence[0].CodeValue == assessment
        (item,) = _items(group, "TUMOUR_TYPE")
        assert item.ConceptCodeSequence[0].CodeValue == kind


def test_indeterminate_says_why_and_gives_no_probability(tmp_path):
    *_, sr = _build(tmp_path, 3)
    group = _groups(sr)[2]
    (item,) = _items(group, "MALIGNANCY")
    assert item.ConceptCodeSequence[0].CodeValue == "280416009"
    assert not list(_items(group, "111047"))
    (comment,) = _items(group, "121106")
    assert comment.TextValue == "Features lie outside the training range (novelty >= 0.99)."


def test_features_have_ibsi_codes_where_they_match_and_are_never_nan(tmp_path):
    *_, sr = _build(tmp_path, 1)
    (group,) = _groups(sr)
    assert _value(group, "QCFX") == 0.731235
    assert _value(group, "TLU2") == 3.21
    assert _value(group, "8ZQL") == 0.0123457
    (volume,) = _items(group, "RNU0")
    unit = volume.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0]
    assert unit.CodeValue == "mm3"
    names = {
        item.ConceptNameCodeSequence[0].CodeMeaning: item
        for item in group.ContentSequence
        if item.ValueType == "NUM"
    }
    assert "wavelet-LLH_glszm_LargeAreaHighGrayLevelEmphasis" in names
    assert "original_glcm_MCC" not in names  # it was NaN
    for item in names.values():
        assert math.isfinite(float(item.MeasuredValueSequence[0].NumericValue))
    schemes = {item.CodingSchemeDesignator for item in sr.CodingSchemeIdentificationSequence}
    assert {"99ONCONODE", "IBSI"} <= schemes


def test_device_observer_and_procedure(tmp_path):
    *_, sr = _build(tmp_path, 1)
    (observer,) = _items(sr, "121005")
    assert observer.ConceptCodeSequence[0].CodeValue == "121007"
    (device,) = _items(sr, "121012")
    assert MODEL.device_uid == device.UID
    (procedure,) = _items(sr, "121058")
    assert procedure.ConceptCodeSequence[0].CodeValue == "25056-3"


def test_ct_has_its_procedure_and_mean_attenuation(tmp_path):
    series, report, _, sr = _build(tmp_path, 1, modality="CT")
    (procedure,) = _items(sr, "121058")
    assert procedure.ConceptCodeSequence[0].CodeValue == "25045-6"
    (group,) = _groups(sr)
    expected = series.volume.voxels[report.segmentation.labels == 1].mean()
    assert _value(group, "112031") == pytest.approx(expected, abs=0.051)


def test_other_modalities_are_a_fault(tmp_path):
    with pytest.raises(ReportFault, match="PT"):
        _build(tmp_path, 1, headers={"Modality": "PT"})


def test_request_is_referenced_where_there_is_one(tmp_path):
    *_, sr = _build(tmp_path / "with", 1)
    assert sr.ReferencedRequestSequence[0].AccessionNumber == "ACC42"
    *_, sr = _build(tmp_path / "without", 1, headers={"AccessionNumber": ""})
    assert "ReferencedRequestSequence" not in sr


def test_negative_study_is_said_and_not_silent(tmp_path):
    _, _, seg, sr = _build(tmp_path, 0)
    assert seg is None
    (group,) = _groups(sr)
    (presence,) = _items(group, "PRESENCE")
    assert presence.ConceptCodeSequence[0].CodeValue == "272519000"
    (finding,) = _items(group, "121071")
    assert finding.ConceptCodeSequence[0].CodeValue == "108369006"
    texts = [item.TextValue for item in _items(sr, "121106")]
    assert any("all 8 slices of 24 x 32 pixels" in text for text in texts)
    assert any(MODEL.limitations in text for text in texts)


def test_findings_that_match_no_lesion_are_a_fault(tmp_path):
    with pytest.raises(ReportFault, match="findings"):
        _build(tmp_path, 2, change=lambda report: replace(report, findings=report.findings[:1]))


PARTIAL = Completeness(
    arrival=Arrival.INCOMPLETE, missing=3, limitations=("series number 2: 3 images are missing.",)
)
BEFORE = DocumentRef(
    study_instance_uid="1.2.3",
    series_instance_uid="1.2.3.4",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
    sop_instance_uid="1.2.3.4.5",
)


@pytest.mark.parametrize("lesions", [0, 2])
def test_a_partial_report_says_so_with_its_limitation(tmp_path, lesions):
    *_, sr = _build(tmp_path, lesions, change=lambda report: replace(report, completeness=PARTIAL))
    assert sr.CompletionFlag == "PARTIAL"
    assert sr.CompletionFlagDescription == "Incomplete study: 3 images missing"
    texts = [item.TextValue for item in _items(sr, "121106")]
    assert any(text.startswith(f"PARTIAL: {lesions} lesion") for text in texts)
    assert "Limitation: series number 2: 3 images are missing." in texts
    assert not any("all 8 slices" in text for text in texts)
    path = tmp_path / "sr.dcm"
    sr.save_as(path, enforce_file_format=True)
    assert dciodvfy_errors(path) == []


def test_a_complete_report_tells_nothing_of_it(tmp_path):
    *_, sr = _build(tmp_path, 1)
    assert "CompletionFlagDescription" not in sr
    assert "PredecessorDocumentsSequence" not in sr
    assert not any("PARTIAL" in item.TextValue for item in _items(sr, "121106"))


def test_a_report_names_the_one_that_it_takes_the_place_of(tmp_path):
    *_, sr = _build(tmp_path, 1, change=lambda report: replace(report, predecessor=BEFORE))
    (study,) = sr.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (item,) = series.ReferencedSOPSequence
    assert study.StudyInstanceUID == BEFORE.study_instance_uid
    assert series.SeriesInstanceUID == BEFORE.series_instance_uid
    assert item.ReferencedSOPClassUID == BEFORE.sop_class_uid
    assert item.ReferencedSOPInstanceUID == BEFORE.sop_instance_uid
    path = tmp_path / "sr.dcm"
    sr.save_as(path, enforce_file_format=True)
    assert dciodvfy_errors(path) == []


def test_other_completeness_is_another_report(tmp_path):
    uids = {
        _build(tmp_path / str(k), 1, change=change)[-1].SOPInstanceUID
        for k, change in enumerate(
            (
                None,
                lambda report: replace(report, completeness=PARTIAL),
                lambda report: replace(report, predecessor=BEFORE),
            )
        )
    }
    assert len(uids) == 3


def test_what_people_wrote_in_chinese_leaves_a_mark(tmp_path):
    def point(report):
        prompt = Prompt(point_lps_mm=(1, 2, 3), source="RTSTRUCT", label="左 1")
        return replace(report, prompts_of={1: (prompt,)})

    *_, sr = _build(tmp_path, 1, change=point)
    (group,) = _groups(sr)
    (comment,) = _items(group, "121106")
    assert "pointed at by RTSTRUCT '? 1'" in comment.TextValue


@pytest.mark.parametrize(("number", "told"), [(0, "0"), (7, "7"), ("", "unknown")])
def test_the_number_of_the_series_is_told_also_if_it_is_0(tmp_path, number, told):
    *_, sr = _build(tmp_path, 0, headers={"SeriesNumber": number})
    texts = " ".join(item.TextValue for item in _items(sr, "121106"))
    assert f"series number {told}, voxels" in texts


@pytest.mark.parametrize(("missing", "told"), [(1, "1 image"), (7, "7 images"), (0, "some images")])
def test_missing_images_are_counted_in_english(tmp_path, missing, told):
    def cut(report):
        return replace(
            report, completeness=Completeness(arrival=Arrival.INCOMPLETE, missing=missing)
        )

    *_, sr = _build(tmp_path, 1, change=cut)
    assert sr.CompletionFlagDescription == f"Incomplete study: {told} missing"
