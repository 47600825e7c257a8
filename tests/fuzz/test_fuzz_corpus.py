"""What was found once, by fuzzing or by review, stays mended."""

import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from factories_receive import make_ct, write_file
from fuzz_bounds import peak_bytes
from fuzz_pieces import damage
from fuzz_readers import AT, delivered
from fuzz_seeds import association_request, seed_study, write_damaged
from fuzz_targets import PEER, _AnsweringArchive
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    RTStructureSetStorage,
)
from pynetdicom.dsutils import decode

from node.assemble import planes, prompt_rtstruct, prompt_sr, prompts, validate
from node.assemble.earlier_masks import read_lesion_points
from node.assemble.earlier_report import read_earlier_report
from node.assemble.folder import scan_folder
from node.assemble.headers import group_headers, read_header
from node.assemble.inner_point import MarkedPlane, locate_planes
from node.assemble.prompts import pointing_series, read_prompts
from node.assemble.validate import check_series
from node.config.document import read_document
from node.config.settings import DeliverSettings
from node.dicom import file_limits, seg_frames
from node.dicom.commitment import InvalidCommitment, read_report
from node.domain.errors import InputRejected
from node.domain.study import InstanceRef
from node.feedback.hear import Outcome, hear
from node.query.found import StudyKeys
from node.receive.file_meta import PREAMBLE
from node.receive.request_limits import (
    MAXIMUM_CONTEXTS,
    MAXIMUM_SYNTAXES,
    MAXIMUM_USER_ITEMS,
    too_much_in,
)
from node.volume.read import read_volume

pytestmark = pytest.mark.filterwarnings("ignore")
CORPUS = Path(__file__).parent / "corpus"
HEADERS = {
    "meta_length_uv.dcm": ("unreadable-header", "BytesLengthException"),
    "study_uid_path.dcm": ("invalid-uid", "no UID"),
    "nested_defined.dcm": ("unreadable-header", "nested deeper than 32"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_file_is_refused_with_its_reason(name: str) -> None:
    code, found = HEADERS[name]
    before_bytes = peak_bytes()
    with pytest.raises(InputRejected) as refused:
        read_header(CORPUS / name)
    (problem,) = refused.value.problems
    assert (problem.code, found in problem.found) == (code, True), problem
    assert peak_bytes() - before_bytes < 100 << 20


def test_a_deflated_file_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_limits, "MAXIMUM_INFLATED_BYTES", 8 << 20)
    path = write_file(tmp_path / "bomb.dcm", make_ct(), DeflatedExplicitVRLittleEndian)
    assert read_header(path).modality == "CT"
    bomb = make_ct(PixelData=bytes(64 << 20))
    write_file(path, bomb, DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputRejected) as refused:
        read_header(path)
    assert "more than 8 MiB once inflated" in refused.value.problems[0].found


def test_a_uid_that_is_a_path_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes((CORPUS / "study_uid_path.dcm").read_bytes())
    contents = scan_folder(tmp_path)
    assert not contents.studies
    assert [problem.code for problem in contents.problems] == ["invalid-uid"]


def test_a_label_map_of_two_billion_frames_is_ignored() -> None:
    series = seed_study().series
    before_bytes = peak_bytes()
    found = group_headers([read_header(CORPUS / "label_map_frames.dcm")])
    uid = found.series[0].attributes.get("FrameOfReferenceUID", "")
    series = replace(series, attributes={"FrameOfReferenceUID": uid})
    pointed = read_prompts(pointing_series(found, own_results=True), series)
    assert not pointed.prompts
    assert "2147483647 frames" in pointed.ignored[0].found
    assert peak_bytes() - before_bytes < 100 << 20


def test_a_codestream_larger_than_its_header_is_not_decoded() -> None:
    before_bytes = peak_bytes()
    (series,) = group_headers([read_header(CORPUS / "codestream_60000.dcm")]).series
    with pytest.raises(InputRejected) as refused:
        read_volume(check_series(series, minimum_slices=1))
    assert "(60000, 60000) inside" in refused.value.problems[0].found
    assert peak_bytes() - before_bytes < 100 << 20


def test_aliases_of_aliases_do_not_unfold() -> None:
    document = read_document(CORPUS / "laughs.yaml")
    assert [problem.code for problem in document.problems] == ["too-large"]
    assert not document.readable


@pytest.mark.parametrize("name", ["answer_nested.bin", "answer_number.bin", "answer_vr.bin"])
def test_an_answer_that_cannot_be_read_is_as_if_not_told(name: str) -> None:
    archive = _AnsweringArchive(peer=PEER, calling_ae_title="B", settings=DeliverSettings())
    _AnsweringArchive.matches = [decode(BytesIO((CORPUS / name).read_bytes()), False, True)]
    assert len(archive.find_studies(StudyKeys())) == 1
    for series in archive.find_series("1.2.3"):
        assert series.series_number in (None, 2)


def test_a_report_that_cannot_be_read_is_invalid() -> None:
    report = decode(BytesIO((CORPUS / "commitment_reason.bin").read_bytes()), False, True)
    with pytest.raises(InvalidCommitment):
        read_report(2, report)


def _context(syntaxes: int) -> bytes:
    one = b"\x40\0" + struct.pack(">H", 17) + b"1.2.840.10008.1.2"
    inner = b"\1\0\0\0" + b"\x30\0" + struct.pack(">H", 5) + b"1.2.3" + one * syntaxes
    return b"\x20\0" + struct.pack(">H", len(inner)) + inner


def _user_information(items: int) -> bytes:
    return b"\x50\0" + struct.pack(">H", 4 * items) + b"\x54\0\0\0" * items


@pytest.mark.parametrize(
    ("items", "told"),
    [
        (_context(1) * MAXIMUM_CONTEXTS, ""),
        (_context(1) * (MAXIMUM_CONTEXTS + 1), "presentation contexts"),
        (_context(MAXIMUM_SYNTAXES), ""),
        (_context(MAXIMUM_SYNTAXES + 1), "transfer syntaxes"),
        (_user_information(MAXIMUM_USER_ITEMS), ""),
        (_user_information(MAXIMUM_USER_ITEMS + 1), "user information"),
    ],
)
def test_a_request_is_counted_before_it_is_decoded(items: bytes, told: str) -> None:
    assert told in too_much_in(association_request()[6:74] + items)
    assert bool(told) == bool(too_much_in(association_request()[6:74] + items))


def test_a_plane_is_measured_by_its_marks_alone() -> None:
    pixels = np.zeros((2000, 2000), bool)
    pixels[1000:1003, 500:505] = True
    steps = np.eye(3)
    plane = MarkedPlane(
        pixels=pixels, origin_mm=np.zeros(3), row_step_mm=steps[1], column_step_mm=steps[0]
    )
    location = locate_planes([plane])
    assert location.point_lps_mm == (502.0, 1001.0, 0.0)
    assert location.extent_mm == 4.0


def test_too_many_contours_points_and_items_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    study = seed_study()
    place = study.folder / "pointing"
    found = group_headers([read_header(path) for path in sorted(place.iterdir())])
    series = pointing_series(found, own_results=True)
    assert len(read_prompts(series, study.series).prompts) == 3
    monkeypatch.setattr(prompt_rtstruct, "MAXIMUM_POINTS", 3)
    monkeypatch.setattr(prompt_sr, "MAXIMUM_CONTENT_ITEMS", 5)
    monkeypatch.setattr(seg_frames, "MAXIMUM_SEG_PIXELS", 255)
    pointed = read_prompts(series, study.series)
    assert not pointed.prompts
    told = " ".join(problem.found for problem in pointed.ignored)
    for reason in ("at most 3 are taken", "more than 5 content items", "at most 255"):
        assert reason in told
    monkeypatch.undo()
    monkeypatch.setattr(prompt_rtstruct, "MAXIMUM_CONTOURS", 0)
    monkeypatch.setattr(prompt_sr, "MAXIMUM_CONTOURS", 0)
    told = " ".join(problem.found for problem in read_prompts(series, study.series).ignored)
    assert "contours, at most 0 are taken" in told
    assert "graphics, at most 0 are taken" in told
    monkeypatch.undo()
    monkeypatch.setattr(prompts, "MAXIMUM_PROMPTS", 1)
    assert len(read_prompts(series, study.series).prompts) == 1
    monkeypatch.setattr(prompts, "MAXIMUM_REGIONS", 0)
    assert not read_prompts(series, study.series).prompts


def test_an_object_of_too_many_frames_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enhanced = seed_study().enhanced
    path = tmp_path / "enhanced.dcm"
    path.write_bytes(PREAMBLE + damage(enhanced.meta, ()) + damage(enhanced.body, ()))
    (series,) = group_headers([read_header(path)]).series
    frames = len(check_series(series, minimum_slices=1).slices)
    monkeypatch.setattr(planes, "MAXIMUM_FRAMES", frames - 1)
    with pytest.raises(InputRejected) as refused:
        check_series(series, minimum_slices=1)
    told = {(problem.code, problem.found) for problem in refused.value.problems}
    assert told == {("too-large", f"{frames} frames, at most {frames - 1} are taken")}


def test_a_readers_object_that_cannot_be_read_is_not_tried_again() -> None:
    heard = hear(
        InstanceRef(
            sop_instance_uid="1.2.3",
            sop_class_uid=RTStructureSetStorage,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            path=CORPUS / "reader_sequence.dcm",
            sha256="",
        ),
        delivered().result,
        device_uids=(),
        received_at=AT,
    )
    assert (heard.outcome, heard.fault) == (Outcome.UNREADABLE, "OSError")


@pytest.mark.parametrize("size", ["nan", "inf", "-1"])
def test_an_earlier_report_with_a_size_that_is_none_is_left_out(tmp_path: Path, size: str) -> None:
    _, sr = delivered().own
    path = write_damaged(tmp_path / "sr.dcm", sr, ())
    report = read_earlier_report(path)
    assert report is not None
    assert len(report.lesions) == 2
    sizes = [n for n, piece in enumerate(sr.body) if piece.tag == b"\x40\0\x0a\xa3"]
    body = list(sr.body)
    body[sizes[0]] = replace(body[sizes[0]], value=size.encode().ljust(4))
    assert read_earlier_report(write_damaged(path, replace(sr, body=tuple(body)), ())) is None


@pytest.mark.parametrize("place", ["nan\\0\\0", "inf\\0\\0", "0"])
def test_an_earlier_seg_that_lies_nowhere_is_refused(tmp_path: Path, place: str) -> None:
    seg, _ = delivered().own
    body = [
        replace(piece, value=place.encode()) if piece.tag == b"\x20\0\x32\0" else piece
        for piece in seg.body
    ]
    path = write_damaged(tmp_path / "seg.dcm", replace(seg, body=tuple(body)), ())
    with pytest.raises(InputRejected, match="ValueError"):
        read_lesion_points(path)


def test_a_volume_beyond_the_limit_is_refused_before_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series = seed_study().study.series[0]
    assert check_series(series, minimum_slices=1).geometry is not None
    monkeypatch.setattr(validate, "MAXIMUM_VOXELS", 767)
    monkeypatch.setattr(validate, "MAXIMUM_FRAME_PIXELS", 255)
    with pytest.raises(InputRejected) as refused:
        check_series(series, minimum_slices=1)
    told = {(problem.code, problem.found) for problem in refused.value.problems}
    assert told == {
        ("too-large", "3 x 16 x 16 voxels"),
        ("too-large", "16 x 16 pixels in 3 of 3 instances"),
    }
