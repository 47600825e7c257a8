"""Messages: valid by two judges each, whole, and the same as the SR says."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pydantic
import pytest
from factories_messages import make_told_report
from fhir.resources.R4B.bundle import Bundle
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from pydicom import dcmread
from receivers import check_bundle, r4_validator

from node.config.settings import ReportSettings
from node.domain.code import Code
from node.domain.report import MESSAGES, Evidence, EvidenceKind, Report
from node.report.fault import ReportFault
from node.report.messages import oru as oru_room
from node.report.messages.oru import control_id_of
from node.report.messages.write import write_messages
from node.report.seg import build_seg
from node.report.sr import build_sr

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SR = Evidence(kind=EvidenceKind.SR, path=None, sop_instance_uid="2.25.77")  # type: ignore[arg-type]  # not read
NAMES = {
    "PatientName": "Wang^Xiao|Dong=王^小东",
    "SpecificCharacterSet": "GB18030",
    "PatientID": "A&B^1",
    "IssuerOfPatientID": "HOSP",
    "AccessionNumber": "ACC~7",
    "PlacerOrderNumberImagingServiceRequest": "P&1",
    "FillerOrderNumberImagingServiceRequest": "F1",
}
SIGNS = {"\\F\\": "|", "\\S\\": "^", "\\T\\": "&", "\\R\\": "~", "\\E\\": "\\"}


def unescape(text: str) -> str:
    return re.sub(r"\\[FSTRE]\\", lambda found: SIGNS[found[0]], text)


def write(tmp_path, at: datetime = AT, change=lambda report: report, **options: Any):
    """ORU text and Bundle of a told report, and the UIDs that their content gave."""
    report, on_disk = make_told_report(tmp_path / "series", **options)
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)
    oru, fhir = write_messages(
        change(report),
        on_disk.volume,
        kinds=MESSAGES,
        evidence=(SR,),
        source_paths=on_disk.paths,
        out_dir=out,
        prefix="brain",
        at=at,
    )
    assert (oru.path.name, fhir.path.name) == ("brain_oru.hl7", "brain_fhir.json")
    return oru, fhir


def rows(text: str, name: str) -> list[list[str]]:
    """Fields of the segments of a name; field n of others than MSH stands at n."""
    return [each.split("|") for each in text.split("\r") if each.startswith(name)]


def read(evidence: Evidence) -> str:
    return evidence.path.read_bytes().decode()


@pytest.mark.parametrize("lesions", [0, 1, 2, 3])
def test_both_are_valid(tmp_path, lesions):
    def alone(report: Report) -> Report:
        return report if lesions == 2 else replace(report, comparison=None)

    oru, fhir = write(tmp_path, lesions=lesions, change=alone)
    message = parse_message(read(oru), validation_level=VALIDATION_LEVEL.STRICT)
    assert message.validate()
    assert message.to_er7().rstrip("\r") == read(oru).rstrip("\r")
    check_bundle(json.loads(read(fhir)))


@pytest.mark.parametrize(
    "spoil", [{"issued": "yesterday"}, {"subject": {"refrence": "x"}}, {"unheard": 1}]
)
def test_both_judges_of_fhir_see_faults(tmp_path, spoil):
    _, fhir = write(tmp_path)
    bundle = json.loads(read(fhir))
    bundle["entry"][-1]["resource"] |= spoil
    with pytest.raises(pydantic.ValidationError):
        Bundle.model_validate(bundle)
    assert not r4_validator().is_valid(bundle)


@pytest.mark.parametrize(
    ("scheme", "system"),
    [
        ("RADLEX", {"system": "http://www.radlex.org"}),
        ("FMA", {"system": "urn:oid:2.16.840.1.113883.6.119"}),
        ("99XYZ", {}),
    ],
)
def test_codes_of_other_schemes_are_told(tmp_path, scheme, system):
    region = Code(value="R1", scheme=scheme, meaning="Brain")

    def recode(report: Report) -> Report:
        return replace(report, model=replace(report.model, anatomic_region=region))

    oru, fhir = write(tmp_path, change=recode)
    bundle = json.loads(read(fhir))
    check_bundle(bundle)
    assert {**system, "code": "R1", "display": "Brain"} in [
        coding
        for entry in bundle["entry"]
        for coding in entry["resource"].get("bodySite", {}).get("coding", ())
    ]
    assert f"R1^Brain^{scheme}" in read(oru)


def test_names_and_delimiters_survive(tmp_path):
    oru, fhir = write(tmp_path, headers=NAMES)
    text = read(oru)
    header, patient, order = (rows(text, name)[0] for name in ("MSH", "PID", "OBR"))
    assert header[17] == "UNICODE UTF-8"
    alphabetic, ideographic = patient[5].split("~")
    assert [unescape(each) for each in alphabetic.split("^")] == [
        "Wang", "Xiao|Dong", "", "", "", "", "L", "A",
    ]  # fmt: skip
    assert ideographic.split("^")[:2] == ["王", "小东"]
    assert ideographic.split("^")[7] == "I"
    number, _, _, authority = patient[3].split("^")
    assert (unescape(number), authority) == ("A&B^1", "HOSP")
    assert unescape(order[2]) == "P&1"
    assert unescape(order[18]) == "ACC~7"
    assert [unescape(each) for each in order[29].split("^")] == ["P&1", "F1"]
    bundle = json.loads(read(fhir))
    report = bundle["entry"][-1]["resource"]
    assert report["subject"]["identifier"]["value"] == "A&B^1"
    numbers = [each["identifier"]["value"] for each in report["basedOn"]]
    assert numbers == ["P&1", "F1", "ACC~7"]
    assert "王" not in read(fhir)  # the patient is named by identifier alone


@pytest.mark.parametrize(
    ("headers", "segment", "field", "expected"),
    [
        ({"PatientBirthDate": "19450000"}, "PID", 7, ""),
        ({"PatientBirthDate": "00010101"}, "PID", 7, ""),
        ({"PatientID": "", "IssuerOfPatientID": "HOSP"}, "PID", 3, '""'),
        ({"PatientName": ""}, "PID", 5, "^^^^^^U"),
        ({"PatientName": "Doe\\Jane^J"}, "PID", 5, "Doe\\E\\Jane^J^^^^^L^A"),
        ({"StudyDate": "00010101"}, "OBR", 7, ""),
        ({"StudyDate": "20240230"}, "OBR", 7, ""),
        ({"StudyTime": "1011"}, "OBR", 7, "20240312"),
        ({"TimezoneOffsetFromUTC": "-0330"}, "OBR", 7, "20240312101112-0330"),
        ({"TimezoneOffsetFromUTC": "+9999"}, "OBR", 7, "20240312101112"),
    ],
)
def test_headers_that_are_empty_or_wrong_cost_a_field_and_not_the_message(
    tmp_path, headers, segment, field, expected
):
    oru, fhir = write(tmp_path, headers=headers)
    (fields,) = rows(read(oru), segment)
    assert [*fields, *[""] * 9][field] == expected
    check_bundle(json.loads(read(fhir)))


def test_text_cannot_end_a_segment_or_a_frame(tmp_path):
    def spoil(report: Report) -> Report:
        return replace(report, remarks=("one\rOBX|9|ST|\x0b two\x1c\r\x00 end",))

    oru, _ = write(tmp_path, change=spoil)
    text = read(oru)
    assert not {"\x0b", "\x1c", "\x00", "\n"} & set(text)
    notes = [unescape(row[3]) for row in rows(text, "NTE")]
    assert "one OBX|9|ST| two end" in notes


def test_the_same_result_is_the_same_message_whenever_it_is_made(tmp_path):
    first, first_fhir = write(tmp_path / "a")
    text = read(first)
    later, later_fhir = write(tmp_path / "a", at=AT.replace(year=2027))
    assert rows(text, "MSH")[0][6] != rows(read(later), "MSH")[0][6]
    assert control_id_of(text) == control_id_of(read(later))
    assert first.sop_instance_uid == later.sop_instance_uid
    assert first_fhir.sop_instance_uid == later_fhir.sop_instance_uid


def test_another_result_is_another_message_of_the_same_order(tmp_path):
    first, fhir = write(tmp_path / "a")
    text, bundle = read(first), json.loads(read(fhir))
    other, other_fhir = write(
        tmp_path / "a", change=lambda report: replace(report, remarks=("late images",))
    )
    assert control_id_of(text) != control_id_of(read(other))
    assert first.sop_instance_uid != other.sop_instance_uid
    assert fhir.sop_instance_uid != other_fhir.sop_instance_uid
    assert rows(text, "OBR")[0][3] == rows(read(other), "OBR")[0][3]
    asked = [each["request"] for each in bundle["entry"]]
    assert asked == [each["request"] for each in json.loads(read(other_fhir))["entry"]]


def test_flags_and_what_raised_them_are_marked(tmp_path):
    oru, fhir = write(tmp_path)
    marked = {(row[4], row[3].split("^")[0]) for row in rows(read(oru), "OBX") if row[8] == "A"}
    assert marked == {
        ("", "TRIAGE"),
        ("1", "TRIAGE"), ("1", "118565006"), ("1", "111047"), ("1", "MALIGNANCY"),
        ("1", "VOLUME_CHANGE"), ("1", "DOUBLING_TIME"), ("1", "CHANGE"),
        ("2", "TRIAGE"), ("2", "103339001"), ("2", "CHANGE"),
    }  # fmt: skip
    of_study = next(row for row in rows(read(oru), "OBX") if row[3].startswith("TRIAGE"))
    assert [each.split("^")[1] for each in of_study[5].split("~")] == [
        "Likely malignant", "Growing", "New lesion",
    ]  # fmt: skip
    places = [(row[3], row[4]) for row in rows(read(oru), "OBX")]
    assert len(places) == len(set(places))  # a receiver keeps one of each
    _, whole, first, second, report = (e["resource"] for e in json.loads(read(fhir))["entry"])
    assert all("interpretation" in each for each in (whole, first, second))
    assert "Triage: likely malignant, growing, new lesion." in report["conclusion"]


def test_a_negative_result_says_so(tmp_path):
    oru, fhir = write(tmp_path, lesions=0)
    told = {row[3].split("^")[0]: row[5] for row in rows(read(oru), "OBX")}
    assert told["PRESENCE"].startswith("272519000^Absent^SCT")
    assert told["TRIAGE"].startswith("NO_FLAG^")
    assert not any(row[8] for row in rows(read(oru), "OBX"))
    _, whole, report = (entry["resource"] for entry in json.loads(read(fhir))["entry"])
    assert whole["valueCodeableConcept"]["coding"][0]["code"] == "272519000"
    assert "interpretation" not in whole
    assert report["status"] == whole["status"] == "preliminary"
    assert "research use, not for diagnosis" in report["conclusion"]


def test_numbers_codes_and_units_are_those_of_the_sr(tmp_path):
    report, on_disk = make_told_report(tmp_path / "series")
    sources = [dcmread(path, stop_before_pixels=True) for path in on_disk.paths]
    settings = ReportSettings()
    seg = build_seg(report, sources, settings=settings)
    sr = build_sr(report, sources, seg, settings=settings, volume=on_disk.volume, pointing=[])
    oru, fhir = write(tmp_path)
    numbers = [
        (row[4], row[3].split("^")[0], float(row[5]), row[6].split("^")[0])
        for row in rows(read(oru), "OBX")
        if row[2] == "NM"
    ]
    assert len(numbers) > 12
    groups = _groups(sr)
    in_sr = {
        (str(place), *_number(item))
        for place, group in enumerate(groups, 1)
        for item in group
        if item.ValueType == "NUM"
    }
    assert set(numbers) <= in_sr
    components = {
        (str(place), c["code"]["coding"][0]["code"], q["value"], q["code"])
        for place, entry in enumerate(json.loads(read(fhir))["entry"][2:-1], 1)
        for c in entry["resource"]["component"]
        if (q := c.get("valueQuantity"))
    }
    assert components == set(numbers)


def _groups(sr: Any) -> list[Any]:
    found = []

    def walk(items: Any) -> None:
        for item in items:
            if item.ValueType == "CONTAINER":
                if item.ConceptNameCodeSequence[0].CodeValue == "125007":
                    found.append(item.ContentSequence)
                else:
                    walk(item.get("ContentSequence", ()))

    walk(sr.ContentSequence)
    return found


def _number(item: Any) -> tuple[str, float, str]:
    measured = item.MeasuredValueSequence[0]
    return (
        str(item.ConceptNameCodeSequence[0].CodeValue),
        float(measured.NumericValue),
        str(measured.MeasurementUnitsCodeSequence[0].CodeValue),
    )


def test_a_message_that_is_not_valid_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(oru_room, "_moment", lambda _: "yesterday")
    with pytest.raises(ReportFault, match="HL7"):
        write(tmp_path)
