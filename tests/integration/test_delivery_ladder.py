"""Every fault of an archive, through outbox and ladder: delivered once, or a dead letter."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from factories_report import axes, make_series
from ladder_sender import QUICK, Sender, make_result, opened_sender
from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import AE

from node.bootstrap.asking import look_for
from node.config.settings import DeliverSettings, NodeSettings, Peer, Settings
from node.deliver.c_store import send_objects
from node.deliver.ladder import CLASS_OF_FORM, FORM_OF_CLASS
from node.deliver.proof import ProofSeeker
from node.domain.report import Evidence
from node.emulate.archive import OUT_OF_RESOURCES, Archive, Faults
from node.emulate.commitment_desk import Commitment
from node.jobs.job import DeliveryState
from node.jobs.state import JobState
from node.language import Readers
from node.storage.database import open_database, sqlite_url

VERIFICATION = "1.2.840.10008.1.1"
PATIENT = DeliverSettings(acse_timeout_s=10, dimse_timeout_s=20, commitment_wait_s=10)
SEG, RTSTRUCT = str(SegmentationStorage), str(RTStructureSetStorage)
SC, KO = str(SecondaryCaptureImageStorage), str(KeyObjectSelectionDocumentStorage)
SR_3D, SR, SR_ENHANCED = map(
    str, (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)
)
LABELMAP = CLASS_OF_FORM["labelmap"]
EVERYTHING = frozenset({SEG, RTSTRUCT, SC, KO, SR_3D, SR, SR_ENHANCED})
SENT_AS_MADE = ("comprehensive_3d", "seg")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evidence, ...]:
    return make_result(tmp_path_factory.mktemp("made"))


@pytest.fixture
def sender(tmp_path: Path, result: tuple[Evidence, ...]) -> Iterator[Sender]:
    with opened_sender(tmp_path, result, destination="pacs", settings=QUICK) as opened:
        yield opened


def peer_of(archive: Archive, **options: object) -> Peer:
    return Peer(name="pacs", ae_title=archive.ae_title, port=archive.port, **options)


def forms_in(archive: Archive) -> tuple[str, ...]:
    """Forms that the archive holds; every object must be there exactly once."""
    assert set(archive.counts().values()) <= {1}, "an object was delivered twice"
    return tuple(sorted(FORM_OF_CLASS[receipt.sop_class_uid] for receipt in archive.kept))


def refusing(*sop_classes: str) -> Faults:
    return Faults(refuse_sop_classes=frozenset(sop_classes))


def answering(status: int, *sop_classes: str) -> Faults:
    return Faults(answer=status, only=frozenset(sop_classes))


IN_PLACE_OF_SEG = ("comprehensive_3d", "rtstruct")
PICTURE = ("comprehensive_3d", "key_object", "secondary_capture")
FAULTS: Mapping[str, tuple[Faults, tuple[str, ...]]] = {
    "none": (Faults(), SENT_AS_MADE),
    "no context for SEG": (refusing(SEG), IN_PLACE_OF_SEG),
    "no context for SEG and RTSTRUCT": (refusing(SEG, RTSTRUCT), PICTURE),
    "only pictures, no key object": (
        refusing(SEG, RTSTRUCT, KO),
        ("comprehensive_3d", "secondary_capture"),
    ),
    "SEG answered 0xC000": (answering(0xC000, SEG), IN_PLACE_OF_SEG),
    "SEG answered 0x0122": (answering(0x0122, SEG), IN_PLACE_OF_SEG),
    "SEG answered 0xA900": (answering(0xA900, SEG), IN_PLACE_OF_SEG),
    "SEG and RTSTRUCT answered 0xC000": (answering(0xC000, SEG, RTSTRUCT), PICTURE),
    "no Comprehensive 3D SR": (refusing(SR_3D), ("comprehensive", "seg")),
    "Enhanced SR only": (refusing(SR_3D, SR), ("enhanced", "seg")),
    "Enhanced SR only, no SEG": (refusing(SR_3D, SR, SEG), ("enhanced", "rtstruct")),
    "SR answered 0x0122": (answering(0x0122, SR_3D), ("comprehensive", "seg")),
    "busy for a while": (Faults(answer=OUT_OF_RESOURCES, times=5), SENT_AS_MADE),
    "busy for SEG, then refuses it": (
        Faults(answer=OUT_OF_RESOURCES, only=frozenset({SEG}), times=3),
        SENT_AS_MADE,
    ),
    "aborts at first": (Faults(abort=True, times=2), SENT_AS_MADE),
    "aborts in the middle": (Faults(abort=True, after=1, times=1), SENT_AS_MADE),
    "stalls once": (Faults(stall=True, times=1), SENT_AS_MADE),
    "answers slowly": (Faults(delay_s=0.3), SENT_AS_MADE),
    "only Implicit VR": (
        Faults(accept_syntaxes=frozenset({str(ImplicitVRLittleEndian)})),
        SENT_AS_MADE,
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_object_is_delivered_once_in_the_best_form(
    sender: Sender, tmp_path: Path, name: str
) -> None:
    faults, expected = FAULTS[name]
    with Archive(tmp_path / "archive", faults=faults) as archive:
        assert sender.send(peer_of(archive)) is JobState.DELIVERED
        assert forms_in(archive) == expected
        held = {receipt.sop_instance_uid for receipt in archive.kept}
        for receipt in archive.kept:
            assert receipt.path is not None
            told = str(dcmread(receipt.path))
            # whatever is there refers to nothing of ours that is not
            absent = {
                each.sop_instance_uid
                for each in sender.ledger.deliveries(sender.job_id)
                if each.sop_instance_uid not in held
            }
            assert not [uid for uid in absent if uid in told]
    assert set(sender.states().values()) <= {DeliveryState.ACCEPTED, DeliveryState.REPLACED}


def test_only_what_failed_is_sent_again(sender: Sender, tmp_path: Path) -> None:
    faults = Faults(answer=OUT_OF_RESOURCES, only=frozenset({SR_3D}), times=2)
    with Archive(tmp_path / "archive", faults=faults) as archive:
        assert sender.send(peer_of(archive)) is JobState.DELIVERED
        asked = [FORM_OF_CLASS[receipt.sop_class_uid] for receipt in archive.receipts]
    assert asked == ["seg", *["comprehensive_3d"] * 3]


def test_report_waits_for_the_segmentation_that_it_names(sender: Sender, tmp_path: Path) -> None:
    faults = Faults(answer=OUT_OF_RESOURCES, only=frozenset({SEG}), times=2)
    with Archive(tmp_path / "archive", faults=faults) as archive:
        assert sender.send(peer_of(archive)) is JobState.DELIVERED
        asked = [FORM_OF_CLASS[receipt.sop_class_uid] for receipt in archive.receipts]
    assert asked == ["seg", "seg", "seg", "comprehensive_3d"]
    report = next(each for each in sender.ledger.deliveries(sender.job_id) if each.kind == "sr")
    assert report.attempts == 1


def test_lost_answer_leads_to_the_same_object_again(sender: Sender, tmp_path: Path) -> None:
    faults = Faults(abort=True, keep=True, only=frozenset({SEG}), times=1)
    with Archive(tmp_path / "archive", faults=faults) as archive:
        assert sender.send(peer_of(archive)) is JobState.DELIVERED
        copies = [each.sha256 for each in archive.kept if each.sop_class_uid == SEG]
    # nobody can know whether it had arrived; an archive that knows the UID keeps one
    assert len(copies) == 2
    assert len(set(copies)) == 1


@pytest.mark.slow  # about a hundred attempts in vain
def test_day_without_archive_is_outlasted(tmp_path: Path, sender: Sender) -> None:
    (tmp_path / "again").mkdir()
    sender = Sender(
        folder=tmp_path / "again",
        engine=open_database(sqlite_url(tmp_path / "again")),
        evidence=sender.evidence,
        attempts=DeliverSettings().maximum_attempts,
    )
    archive = Archive(tmp_path / "archive")
    archive.start()
    archive.stop()
    peer = peer_of(archive)
    for _ in range(4 * 24):
        if sender.ledger.due_destinations():
            sender.send_once(peer)
        sender.clock.pass_seconds(900)
    deliveries = sender.ledger.deliveries(sender.job_id)
    assert {each.state for each in deliveries} == {DeliveryState.PENDING}
    assert any("no connection" in each.error for each in deliveries)
    with archive:
        assert sender.send(peer) is JobState.DELIVERED
        assert forms_in(archive) == SENT_AS_MADE
    sender.engine.dispose()


def test_archive_that_takes_one_association_at_a_time(sender: Sender, tmp_path: Path) -> None:
    faults = Faults(maximum_associations=1)
    with Archive(tmp_path / "archive", faults=faults) as archive:
        other = AE("OTHER")
        other.add_requested_context(VERIFICATION)
        association = other.associate(archive.host, archive.port)
        assert association.is_established
        sender.send_once(peer_of(archive))
        assert archive.receipts == ()
        association.release()
        assert sender.send(peer_of(archive)) is JobState.DELIVERED
        assert forms_in(archive) == SENT_AS_MADE


DEAD_LETTERS = {
    "refuses everything": (refusing(*EVERYTHING), "no presentation context"),
    "answers 0xC000 to everything": (Faults(answer=0xC000), "0xC000"),
    "busy for ever": (Faults(answer=OUT_OF_RESOURCES), "0xA700"),
    "aborts for ever": (Faults(abort=True), "association lost"),
    "refuses reports": (refusing(SR_3D, SR, SR_ENHANCED), "no presentation context"),
}


@pytest.mark.parametrize("name", DEAD_LETTERS)
def test_dead_letter_tells_its_reason_and_can_be_sent_again(
    sender: Sender, tmp_path: Path, name: str
) -> None:
    faults, reason = DEAD_LETTERS[name]
    sick = Archive(tmp_path / "archive", faults=faults)
    with sick:
        assert sender.send(peer_of(sick)) is JobState.FAILED
    assert reason in sender.ledger.get(sender.job_id).error
    sick.faults = Faults()
    with sick:
        sender.ledger.retry(sender.job_id)
        assert sender.send(peer_of(sick)) is JobState.DELIVERED
        assert len(forms_in(sick)) >= 2


def test_archive_that_accepts_and_loses(sender: Sender, tmp_path: Path) -> None:
    faults = Faults(lose=True, only=frozenset({SEG}), times=1)
    commits = Commitment.SAME
    with Archive(tmp_path / "archive", faults=faults, commitment=commits) as archive:
        peer = peer_of(archive)
        settings = Settings(node=NodeSettings(deliver=PATIENT), peers=(peer,))
        seeker = ProofSeeker(
            ledger=sender.ledger,
            peers={"pacs": peer},
            calling_ae_title="ONCONODE",
            settings=PATIENT,
            look_for=look_for(settings),
        )
        for _ in range(2):
            assert sender.send(peer) is JobState.DELIVERED
            sender.clock.pass_seconds(10)
            seeker.seek("pacs")
        assert set(sender.states().values()) == {DeliveryState.COMMITTED}
        assert forms_in(archive) == SENT_AS_MADE


def test_stand_ins_are_proven_as_results_are(sender: Sender, tmp_path: Path) -> None:
    with Archive(tmp_path / "archive", faults=refusing(SEG), commitment=Commitment.SAME) as archive:
        peer = peer_of(archive)
        sender.send(peer)
        sender.clock.pass_seconds(10)
        ProofSeeker(
            ledger=sender.ledger,
            peers={"pacs": peer},
            calling_ae_title="ONCONODE",
            settings=PATIENT,
            look_for=lambda _peer, _due: {},
        ).seek("pacs")
    assert sender.states()["rtstruct"] is DeliveryState.COMMITTED
    assert "committed" in [event.event for event in sender.ledger.events(sender.job_id)]


CHOICES: Mapping[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "structure set wanted": ({"results": ["rtstruct"]}, IN_PLACE_OF_SEG),
    "picture beside the SEG": (
        {"results": ["seg+secondary_capture", "rtstruct"]},
        ("comprehensive_3d", "key_object", "secondary_capture", "seg"),
    ),
    "report only": ({"results": ["none"]}, ("comprehensive_3d",)),
    "segmentation only": ({"reports": ["none"]}, ("seg",)),
    "lesser report": ({"reports": ["enhanced"]}, ("enhanced", "seg")),
}


@pytest.mark.parametrize("name", CHOICES)
def test_peers_yaml_chooses_the_form(sender: Sender, tmp_path: Path, name: str) -> None:
    options, expected = CHOICES[name]
    with Archive(tmp_path / "archive") as archive:
        assert sender.send(peer_of(archive, **options)) is JobState.DELIVERED
        assert forms_in(archive) == expected


def test_nothing_but_segmentation_or_nothing(sender: Sender, tmp_path: Path) -> None:
    with Archive(tmp_path / "archive", faults=refusing(SEG)) as archive:
        assert sender.send(peer_of(archive, results=["seg", "none"])) is JobState.DELIVERED
        assert forms_in(archive) == ("comprehensive_3d",)


def test_forms_that_were_refused_in_the_negotiation_are_passed_over(
    sender: Sender, tmp_path: Path
) -> None:
    with Archive(tmp_path / "archive", faults=refusing(SEG, RTSTRUCT)) as archive:
        sender.send(peer_of(archive))
    assert "rtstruct" not in sender.states()
    known = sender.negotiations.accepted("pacs")
    assert (known[SEG], known[RTSTRUCT]) == ((), ())
    assert known[SC]


def test_second_job_with_the_same_objects_needs_no_second_delivery(
    sender: Sender, tmp_path: Path
) -> None:
    with Archive(tmp_path / "archive", faults=refusing(SEG)) as archive:
        sender.send(peer_of(archive))
        second = sender.add_job("another")
        assert sender.ledger.get(second).state is JobState.DELIVERED
        assert forms_in(archive) == IN_PLACE_OF_SEG
    kinds = [each.kind for each in sender.ledger.deliveries(second)]
    assert sorted(kinds) == ["rtstruct", "seg", "sr", "sr"]


def test_missing_picture_is_a_dead_letter_and_no_crash(sender: Sender, tmp_path: Path) -> None:
    for path in (tmp_path / "result").glob("*_capture.png"):
        path.unlink()
    with Archive(tmp_path / "archive", faults=refusing(SEG, RTSTRUCT)) as archive:
        assert sender.send(peer_of(archive)) is JobState.FAILED
        assert "gone or damaged" in sender.ledger.get(sender.job_id).error
        assert forms_in(archive) == ("comprehensive_3d",)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_pictures_are_packed_for_an_archive_that_takes_no_plain_ones(
    sender: Sender, tmp_path: Path, syntax: str
) -> None:
    faults = Faults(accept_syntaxes=frozenset({str(syntax)}))
    with Archive(tmp_path / "archive", faults=faults) as archive:
        sender.send(peer_of(archive, reports=["comprehensive_3d", "none"]))
        assert forms_in(archive) == ("secondary_capture",)
        (receipt,) = archive.kept
        assert receipt.path is not None
        sent = dcmread(receipt.path)
        made = dcmread(next((tmp_path / "result").glob("*_secondary_capture.dcm")))
        assert sent.file_meta.TransferSyntaxUID == syntax
        assert np.array_equal(sent.pixel_array, made.pixel_array)


def test_compressed_objects_are_unpacked_where_the_peer_wants_it(tmp_path: Path) -> None:
    series = make_series(tmp_path / "images", axes(shape=(3, 16, 16)))
    packed = []
    for path in series.paths:
        dataset = dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        packed.append(tmp_path / path.name)
        dataset.save_as(packed[-1])
    faults = Faults(accept_syntaxes=frozenset({str(ExplicitVRLittleEndian)}))
    with Archive(tmp_path / "archive", faults=faults) as archive:
        outcomes = send_objects(
            packed, peer=peer_of(archive), calling_ae_title="ONCONODE", settings=QUICK
        )
        assert all(outcome.accepted for outcome in outcomes)
        for receipt, path in zip(archive.kept, series.paths, strict=True):
            assert receipt.path is not None
            sent, original = dcmread(receipt.path), dcmread(path)
            assert sent.SOPInstanceUID == original.SOPInstanceUID
            assert np.array_equal(sent.pixel_array, original.pixel_array)


def test_auto_sends_a_label_map_where_viewers_misread_binary(tmp_path: Path) -> None:
    """The frames of this result end within a word: 43 x 53 pixels."""
    made = make_result(tmp_path / "made", shape=(6, 43, 53))
    with (
        Archive(tmp_path / "archive") as archive,
        opened_sender(tmp_path, made, destination="pacs", settings=QUICK) as sender,
    ):
        asked = peer_of(archive, results=("auto+rtstruct", "none"), reports=("comprehensive",))
        assert sender.send(asked) is JobState.DELIVERED
        assert forms_in(archive) == ("comprehensive", "labelmap", "rtstruct")
        report = next(each for each in archive.kept if each.sop_class_uid == SR)
        assert report.path is not None
        assert SEG not in str(dcmread(report.path))


def test_auto_sends_binary_where_all_viewers_read_it(sender: Sender, tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        assert sender.send(peer_of(archive, results=("auto", "rtstruct"))) is JobState.DELIVERED
        assert forms_in(archive) == SENT_AS_MADE


def test_a_refused_label_map_falls_to_the_next_form(sender: Sender, tmp_path: Path) -> None:
    with Archive(tmp_path / "archive", faults=refusing(LABELMAP)) as archive:
        asked = peer_of(archive, results=("labelmap", "rtstruct"))
        assert sender.send(asked) is JobState.DELIVERED
        assert forms_in(archive) == IN_PLACE_OF_SEG


def test_probabilities_are_sent_beside_the_segmentation(tmp_path: Path) -> None:
    made = make_result(tmp_path / "made", readers=Readers(maps=("fractional", "parametric_map")))
    with (
        Archive(tmp_path / "archive") as archive,
        opened_sender(tmp_path, made, destination="pacs", settings=QUICK) as sender,
    ):
        asked = peer_of(archive, results=("seg+fractional+parametric_map", "rtstruct"))
        assert sender.send(asked) is JobState.DELIVERED
        # a FRACTIONAL one has the SOP class of a BINARY one
        assert forms_in(archive) == ("comprehensive_3d", "parametric_map", "seg", "seg")
        kinds = {each.kind for each in sender.ledger.deliveries(sender.job_id)}
        assert kinds == {"seg", "sr", "fractional", "parametric_map"}


def test_a_result_from_before_the_setting_goes_without_probabilities(
    sender: Sender, tmp_path: Path
) -> None:
    with Archive(tmp_path / "archive") as archive:
        asked = peer_of(archive, results=("seg+fractional",))
        assert sender.send(asked) is JobState.DELIVERED
        assert forms_in(archive) == SENT_AS_MADE
