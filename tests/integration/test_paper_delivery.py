"""The report on paper goes to those who ask for it, in their language."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ladder_sender import QUICK, Sender, make_result, opened_sender
from peers_orthanc import running_orthanc
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage

from node.config.settings import DeliverSettings, Peer
from node.deliver.ladder import FORM_OF_CLASS
from node.domain.report import Evidence
from node.emulate.archive import Archive, Faults
from node.jobs.job import DeliveryState
from node.jobs.state import JobState
from node.language import Readers

PDF = str(EncapsulatedPDFStorage)
READERS = Readers(pictures=("zh",), papers=("en", "zh"))


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, ...]:
    return make_result(tmp_path_factory.mktemp("made"), readers=READERS)


@pytest.fixture
def sender(tmp_path: Path, result: tuple[Evidence, ...]) -> Iterator[Sender]:
    with opened_sender(tmp_path, result, destination="pacs", settings=QUICK) as opened:
        yield opened


def send(sender: Sender, archive: Archive, **options: object) -> list[str]:
    peer = Peer(name="pacs", ae_title=archive.ae_title, port=archive.port, **options)
    sender.language = peer.language or ""
    assert sender.send(peer) is JobState.DELIVERED
    assert set(archive.counts().values()) <= {1}, "an object was delivered twice"
    return sorted(FORM_OF_CLASS[receipt.sop_class_uid] for receipt in archive.kept)


def uid_of(result: tuple[Evidence, ...], name: str) -> str:
    return next(each.sop_instance_uid for each in result if each.path.name == name)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_who_asks_for_it_gets_it_in_its_language(
    sender: Sender, tmp_path: Path, result: tuple[Evidence, ...], language: str
) -> None:
    with Archive(tmp_path / "archive") as archive:
        forms = send(sender, archive, pdf=True, language=language)
        assert forms == ["comprehensive_3d", "pdf", "seg"]
        (paper,) = (each for each in archive.kept if each.sop_class_uid == PDF)
    name = "x_pdf_zh.dcm" if language == "zh" else "x_pdf.dcm"
    assert paper.sop_instance_uid == uid_of(result, name)


def test_who_does_not_ask_gets_none(sender: Sender, tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        assert send(sender, archive) == ["comprehensive_3d", "seg"]


def test_who_refuses_it_goes_without(sender: Sender, tmp_path: Path) -> None:
    faults = Faults(refuse_sop_classes=frozenset({PDF}))
    with Archive(tmp_path / "archive", faults=faults) as archive:
        assert send(sender, archive, pdf=True) == ["comprehensive_3d", "seg"]
    assert sender.states()["pdf"] is DeliveryState.REPLACED


def test_results_without_one_are_delivered_all_the_same(tmp_path: Path) -> None:
    bare = make_result(tmp_path / "made")
    with (
        opened_sender(tmp_path, bare, destination="pacs", settings=QUICK) as sender,
        Archive(tmp_path / "archive") as archive,
    ):
        assert send(sender, archive, pdf=True) == ["comprehensive_3d", "seg"]


def test_pictures_are_in_the_language_of_the_destination(sender: Sender, tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        send(sender, archive, results=["secondary_capture"], language="zh")
    folder = tmp_path / "result"
    assert (folder / "x_secondary_capture_zh.dcm").is_file()
    assert (folder / "x_capture_zh.png").read_bytes() != (folder / "x_capture.png").read_bytes()


def test_orthanc_hands_the_pages_out_as_they_were_written(
    tmp_path: Path, result: tuple[Evidence, ...]
) -> None:
    settings = DeliverSettings(acse_timeout_s=20, dimse_timeout_s=60)
    with (
        running_orthanc(tmp_path / "orthanc") as orthanc,
        opened_sender(tmp_path, result, destination=orthanc.peer.name, settings=settings) as sender,
    ):
        peer = orthanc.peer.model_copy(update={"pdf": True})
        assert sender.send(peer) is JobState.DELIVERED
        (held,) = (
            instance
            for instance in orthanc.get("/instances")
            if orthanc.get_bytes(f"/instances/{instance}/metadata/SopClassUid").decode() == PDF
        )
        pages = orthanc.get_bytes(f"/instances/{held}/pdf")
    written = tmp_path / "result" / "x_pdf.dcm"
    length = dcmread(written).EncapsulatedDocumentLength
    assert pages[:length] == (tmp_path / "result" / "x_report.pdf").read_bytes()
