"""Names and texts of the images are in every result as they were, whatever they are written in."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from factories_names import LETTERINGS, Lettering, write_texts
from factories_report import axes, make_labels, make_report, make_series
from judges_dicom import dcentvfy_errors
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedSRStorage
from tools import require_dcmtk, require_tool

from node.assemble.headers import read_header
from node.config.settings import ReportSettings
from node.dicom.patient import read_identity
from node.dicom.text import as_text
from node.domain.errors import Problem
from node.domain.report import MESSAGES, EvidenceKind
from node.language import Readers
from node.report import write
from node.report.capture import read_capture
from node.report.key_object import build_key_object
from node.report.labelmap import build_labelmap
from node.report.messages.write import write_messages
from node.report.not_evaluable import build_not_evaluable
from node.report.rtstruct import build_rtstruct
from node.report.secondary_capture import build_secondary_capture
from node.report.sources import read_sources
from node.report.sr_forms import recast_sr, without_segments

SHAPE = (5, 24, 24)
NAMES = ("PatientName", "ReferringPhysicianName")
TEXTS = (
    "PatientID",
    "IssuerOfPatientID",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "SeriesDescription",
    "InstitutionName",
    "StationName",
)
KEYWORDS = dict.fromkeys(NAMES, "raw_name") | dict.fromkeys(TEXTS, "raw_text")
COPIED = ("PatientName", "ReferringPhysicianName", "PatientID", "AccessionNumber", "StudyID")
OBJECTS = (
    "seg",
    "sr",
    "fractional",
    "parametric_map",
    "pdf",
    "labelmap",
    "rtstruct",
    "secondary_capture",
    "key_object",
    "sr_without_segments",
    "sr_enhanced",
    "not_evaluable",
)
UNTOLD = Lettering(
    character_set=None,
    name="",
    raw_name=LETTERINGS["GB18030"].raw_name,
    text="",
    raw_text=LETTERINGS["GB18030"].raw_text,
)
"""As senders write it that forget to say in which character set: nobody can read that for sure."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that is made of a series in one character set."""

    lettering: Lettering
    sources: tuple[Path, ...]
    objects: dict[str, Path]
    paper: Path
    oru: Path
    fhir: Path


@pytest.fixture(scope="module", params=LETTERINGS)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _make_all(LETTERINGS[request.param], tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return _make_all(UNTOLD, tmp_path_factory.mktemp("untold"))


def _make_all(lettering: Lettering, folder: Path) -> Results:
    series = make_series(folder / "images", axes(shape=SHAPE))
    write_texts(series.paths, lettering, KEYWORDS)
    report = make_report(series.volume, make_labels(SHAPE, 1))
    out = folder / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "draw_overlay", lambda *_, **__: None)  # it names no patient
        written = write.write_evidence(
            report,
            series.volume,
            source_paths=series.paths,
            out_dir=out,
            prefix="x",
            settings=ReportSettings(),
            readers=Readers(papers=("zh",), maps=("fractional", "parametric_map")),
        )
    paths = {each.kind.value: each.path for each in written}
    seg, sr = dcmread(paths["seg"]), dcmread(paths["sr"])
    capture = build_secondary_capture(read_capture(paths["capture"]), seg)
    problem = Problem(code="mixed-matrix", found="two sizes", expected="one", remedy="send again")
    made = {
        "secondary_capture": capture,
        "key_object": build_key_object(seg, capture),
        "rtstruct": build_rtstruct(seg),
        "labelmap": build_labelmap(seg),
        "sr_without_segments": without_segments(sr),
        "sr_enhanced": recast_sr(sr, EnhancedSRStorage),
        "not_evaluable": build_not_evaluable(
            [problem],
            read_sources(series.paths, series.volume.source_uids),
            model=report.model,
            settings=ReportSettings(),
        ),
    }
    for name, dataset in made.items():
        paths[name] = out / f"x_{name}.dcm"
        dataset.save_as(paths[name], enforce_file_format=True)
    oru, fhir = write_messages(
        report,
        series.volume,
        kinds=MESSAGES,
        evidence=(replace(written[0], kind=EvidenceKind.SR),),
        source_paths=series.paths,
        out_dir=out,
        prefix="x",
        at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    return Results(
        lettering=lettering,
        sources=series.paths,
        objects={name: paths[name] for name in OBJECTS},
        paper=paths["paper"],
        oru=oru.path,
        fhir=fhir.path,
    )


def _raw(path: Path, keyword: str) -> bytes:
    """Bytes of a value as they stand in a file, without padding and empty last groups."""
    value = dcmread(path).get_item(keyword).value
    assert isinstance(value, bytes)
    return value.rstrip(b" =")


def _texts(dataset: Dataset) -> Iterator[str]:
    """Every text in an object that a character set bears upon."""
    for element in dataset.iterall():
        if element.VR in ("LO", "SH", "PN", "LT", "ST", "UT", "UC") and not element.is_empty:
            values = element.value if element.VM > 1 else [element.value]
            yield from (as_text(value).rstrip("=") for value in values)


def _converted_by_dcmtk(path: Path) -> Dataset:
    """The object in UTF-8, as dcmtk sees it."""
    converted = path.with_suffix(".utf8")
    command = [require_dcmtk("dcmconv"), "+U8", str(path), str(converted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return dcmread(converted)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_has_the_bytes_of_its_source(results: Results, name: str) -> None:
    path, lettering = results.objects[name], results.lettering
    dataset = dcmread(path)
    assert dataset.SpecificCharacterSet == lettering.character_set
    assert as_text(dataset.PatientName).rstrip("=") == lettering.name
    for keyword in COPIED:
        assert _raw(path, keyword) == getattr(lettering, KEYWORDS[keyword])


@pytest.mark.parametrize("name", OBJECTS)
def test_pydicom_reads_every_text_in_an_object(results: Results, name: str) -> None:
    foreign = {text for text in _texts(dcmread(results.objects[name])) if not text.isascii()}
    assert results.lettering.name in foreign
    assert foreign == {results.lettering.name, results.lettering.text}


def test_dcmtk_reads_every_text_in_every_object(results: Results) -> None:
    lettering = results.lettering
    if "ISO 2022 IR 87" in lettering.character_set:
        pytest.skip("dcmtk converts no Japanese where it is built with the iconv of glibc")
    for path in results.objects.values():
        converted = _converted_by_dcmtk(path)
        assert str(converted.PatientName).rstrip("=") == lettering.name
        assert converted.PatientID == lettering.text
        foreign = {text for text in _texts(converted) if not text.isascii()}
        assert foreign == {lettering.name, lettering.text}


def test_dcmtk_sees_a_wrong_character_set(tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    lettering = LETTERINGS["UTF-8"]
    series = make_series(tmp_path, axes(shape=SHAPE))
    write_texts(series.paths, replace(lettering, character_set="ISO_IR 144"), KEYWORDS)
    assert str(_converted_by_dcmtk(series.paths[0]).PatientName) != lettering.name


def test_results_and_images_tell_one_story(results: Results) -> None:
    if "GBK" in results.lettering.character_set:
        pytest.skip("dcentvfy does not know GBK")
    # it takes the study that an RTSTRUCT refers to for an object that is missing
    objects = [path for name, path in results.objects.items() if name != "rtstruct"]
    assert dcentvfy_errors([*results.sources, *objects]) == []


def test_the_page_and_the_rules_see_the_words(results: Results) -> None:
    identity = read_identity(results.sources[0])
    assert identity.patient_name.rstrip("=") == results.lettering.name
    for told in (
        identity.patient_id,
        identity.accession_number,
        identity.description,
        identity.issuer,
    ):
        assert told == results.lettering.text
    attributes = read_header(results.sources[0]).attributes
    assert attributes["SeriesDescription"] == results.lettering.text


def test_messages_name_the_patient_in_unicode(results: Results) -> None:
    rows = [row.split("|") for row in results.oru.read_bytes().decode("utf-8").split("\r")]
    header, patient, order = (
        next(row for row in rows if row[0] == name) for name in ("MSH", "PID", "OBR")
    )
    assert header[17] == "UNICODE UTF-8"
    groups = ["^".join(group.split("^")[:2]) for group in patient[5].split("~")]
    assert groups == results.lettering.name.split("=")
    assert patient[3].split("^")[0] == order[18] == results.lettering.text
    bundle = json.loads(results.fhir.read_bytes().decode("utf-8"))
    subject = bundle["entry"][-1]["resource"]["subject"]
    assert subject["identifier"]["value"] == results.lettering.text


def test_paper_names_the_patient(results: Results) -> None:
    command = [require_tool("pdftotext"), "-layout", str(results.paper), "-"]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode()
    letters, *others = results.lettering.name.split("=")
    family, given = letters.split("^")
    drawn = others[0].replace("^", "") if others else f"{family}, {given}"
    if "㐂" in drawn:  # not in the font: the letters stand alone
        drawn = f"{family}, {given}"
    assert drawn in " ".join(told.split())


@pytest.mark.parametrize("name", OBJECTS)
def test_a_character_set_that_is_not_told_is_not_invented(untold: Results, name: str) -> None:
    path = untold.objects[name]
    assert "SpecificCharacterSet" not in dcmread(path)
    assert _raw(path, "PatientName") == untold.lettering.raw_name
