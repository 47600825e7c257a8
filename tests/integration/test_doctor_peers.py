"""The doctor with peers that are well, dead, refusing, forgetful, and behind TLS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, make_authority
from factories_receive import listener_settings, running_listener
from free_ports import free_port
from peers_dcmtk import running_storescp
from peers_orthanc import running_orthanc
from pydicom import dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from receivers import fhir_server, mllp_receiver
from sqlalchemy import Engine

from node.bootstrap.doctor.peers import check_peer, use_of
from node.bootstrap.doctor.sheet import Line, Mark
from node.config.settings import (
    DeliverSettings,
    DicomWeb,
    Fhir,
    Hl7,
    NodeSettings,
    Peer,
    RoutingRule,
    SeriesMatch,
    Settings,
)
from node.domain.commitment import CommitmentReport
from node.emulate.archive import Archive, Faults
from node.emulate.commitment_desk import Commitment
from node.receive.commitment import CommitmentService
from node.storage.database import open_database, sqlite_url

SEG = str(SegmentationStorage)
COMPREHENSIVE_3D_SR = str(Comprehensive3DSRStorage)
PICTURES = frozenset({SEG, str(RTStructureSetStorage), str(SecondaryCaptureImageStorage)})
REPORTS = frozenset({COMPREHENSIVE_3D_SR, str(ComprehensiveSRStorage), str(EnhancedSRStorage)})
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
NODE = NodeSettings(
    deliver=DeliverSettings(acse_timeout_s=5, dimse_timeout_s=20, commitment_wait_s=2)
)
KEPT = ("store", "found again", "commitment")


def sheet(
    peer: Peer, folder: Path, *, send: bool = True, engine: Engine | None = None, wait_s: float = 1
) -> dict[str, Line]:
    """Examine a peer that a rule sends results to."""
    rule = RoutingRule(
        name="r", match=SeriesMatch(modality=("MR",)), bundle="b", destinations=(peer.name,)
    )
    settings = Settings(node=NODE, peers=(peer,), routing=(rule,))
    use = use_of(peer, settings, is_named=False, send=send)
    lines = list(
        check_peer(
            peer, settings, use, folder=folder / "doctor", engine=engine, commitment_wait_s=wait_s
        )
    )
    return {line.check: line for line in lines}


def test_receivers_of_messages_are_connected_to_and_sent_nothing(tmp_path: Path) -> None:
    with mllp_receiver() as receiver, fhir_server() as server:
        lines = sheet(Peer(name="ris", port=receiver.port, hl7=Hl7()), tmp_path)
        assert marks(lines, "reachable", "TLS", "HL7") == ["pass", "skip", "pass"]
        records = Peer(name="records", fhir=Fhir(url=server.url))
        lines = sheet(records, tmp_path)
        assert marks(lines, "reachable", "FHIR") == ["pass", "pass"]
        server.capabilities["fhirVersion"] = "5.0.0"
        assert "not R4" in sheet(records, tmp_path)["FHIR"].found
        server.capabilities.clear()
        assert marks(sheet(records, tmp_path), "FHIR") == ["fail"]
    assert receiver.messages == []
    assert server.requests == []


def marks(lines: dict[str, Line], *checks: str) -> list[str]:
    return [lines[check].mark.value for check in checks]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> tuple[Path, Path]:
    return authority.issue("node")


@pytest.fixture(scope="module")
def tls_peer(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Peer]:
    """A storescp that speaks nothing but TLS."""
    certificate, key = authority.issue("pacs")
    options = ("+tls", str(key), str(certificate), "+cf", str(authority.ca))
    with running_storescp(tmp_path_factory.mktemp("tls"), *options) as (peer, _):
        yield peer


def over_tls(peer: Peer, authority: Authority, own: tuple[Path, Path], **more: Any) -> Peer:
    values = {"tls": True, "tls_ca": authority.ca, "tls_certificate": own[0], "tls_key": own[1]}
    return peer.model_copy(update=values | more)


def test_an_archive_in_which_all_is_well(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive", commitment=Commitment.SAME) as archive:
        peer = Peer(name="pacs", ae_title=archive.ae_title, port=archive.port)
        lines = sheet(peer, tmp_path)
        stored = [dcmread(receipt.path) for receipt in archive.kept if receipt.path]
    assert marks(lines, "reachable", "C-ECHO", "negotiation", *KEPT) == ["pass"] * 6
    assert marks(lines, "TLS", "clock skew") == ["skip", "skip"]
    assert "cannot be told" in lines["clock skew"].found
    assert "Explicit VR Little Endian, Implicit VR Little Endian" in lines["negotiation"].found
    assert "committed to all 2" in lines["commitment"].found
    assert {str(each.SOPInstanceUID) for each in stored} == set(lines["store"].stored)
    for each in stored:
        assert (str(each.PatientName), each.PatientID) == ("TEST^ONCONODE", "TEST-ONCONODE")
        assert each.SeriesDescription.startswith("TEST OBJECT")
        assert str(each.StudyInstanceUID) in lines["store"].found
    assert {str(each.SOPClassUID) for each in stored} == {SEG, COMPREHENSIVE_3D_SR}


def test_nothing_is_stored_where_nobody_wants_it(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        peer = Peer(name="pacs", ae_title=archive.ae_title, port=archive.port)
        lines = sheet(peer, tmp_path, send=False)
        settings = Settings(node=NODE, peers=(peer,))
        use = use_of(peer, settings, is_named=False, send=True)
        others = list(check_peer(peer, settings, use, folder=tmp_path, engine=None))
        assert archive.receipts == ()
    assert lines["store"].mark is Mark.SKIP
    assert "no rule sends" in next(line.found for line in others if line.check == "store")


@pytest.mark.parametrize(
    ("faults", "commitment", "check", "mark", "words"),
    [
        (Faults(refuse_sop_classes=frozenset({SEG})), Commitment.NONE, "negotiation", "warn",
         "Segmentation: refused"),
        (Faults(refuse_sop_classes=PICTURES), Commitment.NONE, "negotiation", "fail",
         "RT Structure Set: refused"),
        (Faults(refuse_sop_classes=REPORTS), Commitment.NONE, "negotiation", "fail",
         "Enhanced SR: refused"),
        (Faults(lose=True), Commitment.SAME, "found again", "fail", "2 of 2 are not there"),
        (Faults(lose=True), Commitment.SAME, "commitment", "fail", "0x0112"),
        (Faults(answer=0xA700), Commitment.NONE, "store", "fail", "0xA700 out of resources"),
        (Faults(), Commitment.NONE, "commitment", "warn", "does not offer"),
        (Faults(), Commitment.NEVER, "commitment", "warn", "no answer within"),
    ],
    ids=[
        "refuses SEG", "no picture", "no report", "loses", "commits to nothing", "full",
        "no commitment", "never answers",
    ],
)  # fmt: skip
def test_what_an_archive_does_wrong(  # noqa: PLR0917 - columns of the table
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: Faults,
    commitment: Commitment,
    check: str,
    mark: str,
    words: str,
) -> None:
    monkeypatch.setattr("node.bootstrap.doctor.storing.FIND_TIMEOUT_S", 0.5)
    with Archive(tmp_path / "archive", faults=faults, commitment=commitment) as archive:
        peer = Peer(name="pacs", ae_title=archive.ae_title, port=archive.port)
        line = sheet(peer, tmp_path)[check]
    assert line.mark.value == mark
    assert words in line.found
    assert line.remedy


def test_commitment_that_is_required_fails_without(tmp_path: Path) -> None:
    with Archive(tmp_path / "archive") as archive:
        peer = Peer(name="pacs", ae_title=archive.ae_title, port=archive.port, commitment="require")
        lines = sheet(peer, tmp_path)
    assert lines["commitment"].mark is Mark.FAIL


def test_what_stands_in_is_told(tmp_path: Path) -> None:
    refuse = Faults(refuse_sop_classes=frozenset({COMPREHENSIVE_3D_SR}))
    with Archive(tmp_path / "archive", faults=refuse) as archive:
        peer = Peer(name="pacs", ae_title=archive.ae_title, port=archive.port)
        line = sheet(peer, tmp_path, send=False)["negotiation"]
        only = peer.model_copy(update={"reports": ("comprehensive_3d",)})
        strict = sheet(only, tmp_path, send=False)["negotiation"]
        without = peer.model_copy(update={"reports": ("comprehensive_3d", "none")})
        lenient = sheet(without, tmp_path, send=False)["negotiation"]
    assert (line.mark, strict.mark, lenient.mark) == (Mark.WARN, Mark.FAIL, Mark.WARN)
    assert line.remedy.startswith("comprehensive will be sent instead")
    assert "no SR" in strict.remedy


def test_a_peer_that_is_not_there(tmp_path: Path) -> None:
    peer = Peer(name="gone", ae_title="GONE", port=free_port())
    lines = sheet(peer, tmp_path)
    assert lines["reachable"].mark is Mark.FAIL
    assert "nobody listens" in lines["reachable"].found
    assert set(lines) == {"reachable", "everything else"}
    settings = Settings(node=NODE, peers=(peer,))
    only_sends = use_of(peer, settings, is_named=False, send=True)
    told = list(check_peer(peer, settings, only_sends, folder=tmp_path, engine=None))
    assert {line.mark for line in told} == {Mark.SKIP}
    nowhere = Peer(name="nowhere", ae_title="NOWHERE", host="nowhere.invalid", port=104)
    assert "host name" in sheet(nowhere, tmp_path)["reachable"].found


def test_a_peer_that_refuses(tmp_path: Path) -> None:
    with running_storescp(tmp_path, "--refuse") as (peer, received):
        lines = sheet(peer, tmp_path)
        assert not list(received.iterdir())
    assert lines["C-ECHO"].mark is Mark.FAIL
    assert "rejected" in lines["C-ECHO"].found
    assert lines["C-ECHO"].remedy
    assert "store" not in lines


def test_a_peer_that_knows_us_not_or_by_another_title(tmp_path: Path) -> None:
    """The node's own listener is such a peer."""
    strict = listener_settings().model_copy(update={"accept_unknown_peers": False})
    only = (Peer(name="ct", ae_title="CT1"),)
    with running_listener(tmp_path / "a", settings=strict, peers=only) as running:
        peer = Peer(name="strict", ae_title="ONCONODE", port=running.port)
        unknown = sheet(peer, tmp_path)["C-ECHO"]
        wrong = sheet(peer.model_copy(update={"ae_title": "OTHER"}), tmp_path)["C-ECHO"]
    assert "add this node" in unknown.remedy
    assert "correct ae_title" in wrong.remedy


def test_a_peer_that_speaks_only_tls(
    tmp_path: Path, tls_peer: Peer, authority: Authority, own: tuple[Path, Path]
) -> None:
    plain = sheet(tls_peer, tmp_path)["C-ECHO"]
    assert plain.mark is Mark.FAIL
    assert "the port speaks TLS" in plain.found
    assert "tls: true" in plain.remedy
    lines = sheet(over_tls(tls_peer, authority, own), tmp_path)
    assert marks(lines, "TLS", "certificate expiry", "C-ECHO", "store") == ["pass"] * 4
    assert "TLSv1." in lines["TLS"].found
    assert "CN=pacs" in lines["TLS"].found
    assert "its certificate ends" in lines["certificate expiry"].found


@pytest.mark.parametrize("fault", ["stranger", "soon", "ended", "without"])
def test_certificates(
    fault: str, tmp_path: Path, tls_peer: Peer, authority: Authority, own: tuple[Path, Path]
) -> None:
    if fault == "stranger":
        other = make_authority(tmp_path / "other", "other")
        lines = sheet(over_tls(tls_peer, authority, own, tls_ca=other.ca), tmp_path)
        assert lines["TLS"].mark is Mark.FAIL
        assert "not accepted" in lines["TLS"].found
    elif fault == "without":
        bare = over_tls(tls_peer, authority, own, tls_certificate=None, tls_key=None)
        lines = sheet(bare, tmp_path)
        assert lines["C-ECHO"].mark is Mark.FAIL  # with TLS 1.3 it is refused only after hands met
        assert "TLS" in lines["C-ECHO"].found
    else:
        shown = authority.issue(fault, days=10 if fault == "soon" else -1)
        lines = sheet(over_tls(tls_peer, authority, shown), tmp_path)
        line = lines["certificate expiry"]
        assert line.mark is (Mark.WARN if fault == "soon" else Mark.FAIL)
        assert "renew tls_certificate" in line.remedy


def test_tls_to_a_port_without(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path]
) -> None:
    with running_storescp(tmp_path) as (peer, _):
        lines = sheet(over_tls(peer, authority, own), tmp_path)
    assert lines["TLS"].mark is Mark.FAIL


class NoRequests:
    """A book in which nothing stands."""

    def add(self, **_: Any) -> Any:
        raise AssertionError("nobody asks")

    def reported(self, request_id: int) -> None:
        raise AssertionError(request_id)


def test_orthanc_keeps_finds_and_commits_on_an_association_of_its_own(tmp_path: Path) -> None:
    reports: list[CommitmentReport] = []

    def unknown(report: CommitmentReport) -> bool:
        reports.append(report)
        return False

    service = CommitmentService(requests=NoRequests(), held=lambda _: {}, record_report=unknown)
    with running_listener(tmp_path / "node", commitment=service) as running:
        modalities = {"node": ("ONCONODE", running.port)}
        with running_orthanc(tmp_path / "orthanc", modalities=modalities) as orthanc:
            engine = open_database(sqlite_url(tmp_path / "node"))
            lines = sheet(orthanc.peer, tmp_path, engine=engine, wait_s=20)
            assert sorted(orthanc.sop_instance_uids()) == sorted(lines["store"].stored)
            engine.dispose()
    assert marks(lines, "reachable", "C-ECHO", "negotiation", *KEPT) == ["pass"] * 6
    assert "association of its own" in lines["commitment"].found
    assert reports[0].committed == set(lines["store"].stored)


def test_orthanc_by_dicomweb(tmp_path: Path) -> None:
    if not PLUGIN.exists():
        pytest.skip("Orthanc's DICOMweb plug-in is not installed")
    extra = {"Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True}}
    with running_orthanc(tmp_path / "orthanc", extra=extra) as orthanc:
        web = DicomWeb(url=f"http://127.0.0.1:{orthanc.http_port}/dicom-web")
        peer = orthanc.peer.model_copy(update={"dicomweb": web})
        lines = sheet(peer, tmp_path)
        assert sorted(orthanc.sop_instance_uids()) == sorted(lines["store"].stored)
        wrong = web.model_copy(update={"url": f"http://127.0.0.1:{orthanc.http_port}/wrong"})
        lost = sheet(peer.model_copy(update={"dicomweb": wrong}), tmp_path)
    assert marks(lines, "reachable", "DICOMweb", "store", "found again") == ["pass"] * 4
    assert lines["commitment"].mark is Mark.SKIP
    # Orthanc's HTTP server may send no Date
    assert lines["clock skew"].mark in (Mark.PASS, Mark.SKIP)
    assert lost["store"].mark is Mark.FAIL
