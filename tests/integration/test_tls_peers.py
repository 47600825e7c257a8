"""DICOM TLS with dcmtk and Orthanc on the other side, in both directions."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority, make_authority
from factories_receive import (
    RunningListener,
    data_set_of,
    listener_settings,
    make_ct,
    run_dcmtk,
    running_listener,
    wait_until,
    write_file,
)
from free_ports import free_port
from peers_dcmtk import running_storescp
from peers_orthanc import running_orthanc
from structlog.testing import capture_logs

from node.bootstrap.certificates import list_certificates, warn_of_expiry
from node.config.settings import DeliverSettings, Peer, Settings, TlsSettings
from node.deliver.c_echo import echo
from node.deliver.c_store import send_objects
from node.domain.errors import SetupFault, TryLater
from node.storage.associations import AssociationRecord, AssociationResult
from node.storage.negotiations import PeerSyntax

SOP = str(make_ct().SOPInstanceUID)
DELIVER = DeliverSettings(acse_timeout_s=10, dimse_timeout_s=20)
RELEASED, FAILED = AssociationResult.RELEASED, AssociationResult.FAILED


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def own(authority: Authority) -> tuple[Path, Path]:
    """Certificate and key of the node."""
    return authority.issue("node")


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> tuple[Path, Path]:
    """Certificate and key of a peer."""
    return authority.issue("modality")


@contextmanager
def tls_listener(
    folder: Path, authority: Authority, own: tuple[Path, Path], **tls: Any
) -> Iterator[RunningListener]:
    values = {"port": 0, "certificate": own[0], "key": own[1], "ca": authority.ca, **tls}
    settings = listener_settings(acse_timeout_s=10).model_copy(
        update={"tls": TlsSettings(**values)}
    )
    with running_listener(folder, settings=settings) as running:
        yield running


def tls_options(theirs: tuple[Path, Path], authority: Authority) -> tuple[Any, ...]:
    return ("+tls", theirs[1], theirs[0], "+cf", authority.ca)


def storescu_tls(running: RunningListener, *arguments: Any, check: bool = True) -> str:
    return run_dcmtk(
        "storescu", "-v", "-R", "-aec", "ONCONODE", "-aet", "CT1", *arguments[:-1],
        "127.0.0.1", running.listener.tls_port, arguments[-1], check=check,
    ).stdout  # fmt: skip


def test_storescu_with_its_certificate_and_without_tls_side_by_side(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    over_tls = write_file(tmp_path / "1.dcm", make_ct(1))
    plain = write_file(tmp_path / "2.dcm", make_ct(2))
    with tls_listener(tmp_path, authority, own) as running:
        storescu_tls(running, *tls_options(theirs, authority), over_tls)
        record = running.wait_for_record(RELEASED)
        run_dcmtk("storescu", "-R", "-aec", "ONCONODE", "127.0.0.1", running.port, plain)
        wait_until(lambda: running.listener.counts == {"new": 2})
        without = running.wait_for_record(RELEASED, calling="STORESCU")
        assert running.received_bytes(SOP) == data_set_of(over_tls)
        assert record.port == running.listener.tls_port
        assert without.port == running.port
    assert record.tls in ("TLSv1.2", "TLSv1.3")
    assert record.certificate == "O=Test, CN=modality"
    assert (record.calling_ae_title, record.objects_stored) == ("CT1", 1)
    assert (without.tls, without.certificate) == ("", "")


def test_a_large_object_over_tls(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    frames = 24
    ds = make_ct(
        Rows=512, Columns=512, NumberOfFrames=frames, PixelData=bytes(range(256)) * (frames << 11)
    )
    path = write_file(tmp_path / "large.dcm", ds)
    with tls_listener(tmp_path, authority, own) as running:
        storescu_tls(running, *tls_options(theirs, authority), path)
        assert running.received_bytes(SOP) == data_set_of(path)


def failure_of(running: RunningListener) -> AssociationRecord:
    record = running.wait_for_record(FAILED)
    assert (record.tls, record.accepted, record.objects_stored) == ("", {}, 0)
    assert running.listener.counts == {}
    return record


def test_without_certificate_nobody_comes_in(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path]
) -> None:
    path = write_file(tmp_path / "1.dcm", make_ct())
    with tls_listener(tmp_path, authority, own) as running:
        storescu_tls(running, "+tla", "+cf", authority.ca, path, check=False)
        assert failure_of(running).reason == "TLS: the peer showed no certificate"


def test_without_certificate_where_none_is_required(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path]
) -> None:
    path = write_file(tmp_path / "1.dcm", make_ct())
    with tls_listener(tmp_path, authority, own, require_client_certificate=False) as running:
        storescu_tls(running, "+tla", "+cf", authority.ca, path)
        record = running.wait_for_record(RELEASED)
    assert record.tls.startswith("TLSv1.")
    assert record.certificate == ""


@pytest.mark.parametrize("whose", ["stranger", "expired"])
def test_a_certificate_that_is_not_accepted(
    whose: str, tmp_path: Path, authority: Authority, own: tuple[Path, Path]
) -> None:
    path = write_file(tmp_path / "1.dcm", make_ct())
    if whose == "stranger":
        shown = make_authority(tmp_path / "other", "other").issue("evil")
    else:
        shown = authority.issue("expired", days=-1)
    with tls_listener(tmp_path, authority, own) as running:
        storescu_tls(running, *tls_options(shown, authority), path, check=False)
        reason = failure_of(running).reason
    assert reason.startswith("TLS: the certificate of the peer is not accepted: ")
    if whose == "expired":
        assert "expired" in reason


def test_dicom_without_tls_on_the_tls_port_is_told(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path]
) -> None:
    with tls_listener(tmp_path, authority, own) as running:
        run_dcmtk("echoscu", "127.0.0.1", running.listener.tls_port, check=False)
        assert failure_of(running).reason == "TLS: this was not TLS: DICOM without TLS, perhaps"


def test_tls_on_the_plain_port_is_told(
    tmp_path: Path, authority: Authority, theirs: tuple[Path, Path]
) -> None:
    with running_listener(tmp_path) as running:
        options = tls_options(theirs, authority)
        run_dcmtk("echoscu", *options, "127.0.0.1", running.port, check=False)
        assert failure_of(running).reason == "this was TLS, on the port without TLS"


def test_old_tls_is_refused(tmp_path: Path, authority: Authority, own: tuple[Path, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES256-GCM-SHA384")  # no ephemeral key
    with tls_listener(tmp_path, authority, own, require_client_certificate=False) as running:
        address = ("127.0.0.1", running.listener.tls_port)
        with socket.create_connection(address) as client, pytest.raises(ssl.SSLError):
            context.wrap_socket(client)
        assert failure_of(running).reason == "TLS: the peer offers no cipher suite of BCP 195"


def test_who_stalls_in_the_handshake_is_cut_and_holds_up_nobody(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    settings = listener_settings(acse_timeout_s=2).model_copy(
        update={
            "tls": TlsSettings(port=0, certificate=own[0], key=own[1], ca=authority.ca),
        }
    )
    with running_listener(tmp_path, settings=settings) as running:
        address = ("127.0.0.1", running.listener.tls_port)
        silent = socket.create_connection(address)
        half = socket.create_connection(address)
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        begun = time.monotonic()
        run_dcmtk("echoscu", "-aec", "ONCONODE", *tls_options(theirs, authority), *address)
        for client in (silent, half):
            client.settimeout(20)
            assert client.recv(100) == b"" or client.recv(100) == b""  # an alert may come first
            client.close()
        assert time.monotonic() - begun < 15
        wait_until(lambda: len(running.associations.list(refused=True)) == 2)
        reasons = {record.reason for record in running.associations.list(refused=True)}
    assert reasons == {"TLS: the handshake took too long"}


def test_only_tls(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    port = free_port()
    with tls_listener(tmp_path, authority, own, listen="only", port=port) as running:
        assert running.listener.tls_port == port
        assert set(running.listener._servers) == {"tls"}
        run_dcmtk("echoscu", "-aec", "ONCONODE", *tls_options(theirs, authority), "127.0.0.1", port)


def test_files_that_cannot_be_used_stop_the_start(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    with (
        pytest.raises(SetupFault, match="TLS cannot be used"),
        tls_listener(tmp_path, authority, (own[0], theirs[1])),
    ):
        pass


def call(peer: Peer, authority: Authority, own: tuple[Path, Path], **values: Any) -> Peer:
    """The peer, called over TLS with the node's own files."""
    tls = {"tls": True, "tls_ca": authority.ca, "tls_certificate": own[0], "tls_key": own[1]}
    return peer.model_copy(update={**tls, **values})


def test_storescp_over_tls_gets_the_results(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    path = write_file(tmp_path / "1.dcm", make_ct())
    heard: dict[str, list[PeerSyntax]] = {}
    with running_storescp(tmp_path, *map(str, tls_options(theirs, authority)), "+xi") as found:
        peer, received = call(found[0], authority, own), found[1]
        (outcome,) = send_objects(
            [path],
            peer=peer,
            calling_ae_title="ONCONODE",
            settings=DELIVER,
            on_negotiated=lambda name, answers: heard.update({name: list(answers)}),
        )
        assert outcome.accepted
        assert len(list(received.iterdir())) == 1
        assert echo(peer, calling_ae_title="ONCONODE", settings=DELIVER) > 0
    accepted = {answer.transfer_syntax_uid for answer in heard["storescp"] if answer.accepted}
    refused = {answer.transfer_syntax_uid for answer in heard["storescp"] if not answer.accepted}
    assert accepted == {"1.2.840.10008.1.2"}
    assert "1.2.840.10008.1.2.1" in refused  # and what else it might be transcoded to


def test_a_peer_that_is_not_there_is_no_fault_of_tls(
    authority: Authority, own: tuple[Path, Path]
) -> None:
    peer = call(Peer(name="gone", ae_title="GONE", port=free_port()), authority, own)
    with pytest.raises(TryLater, match="gone: no connection"):
        echo(peer, calling_ae_title="ONCONODE", settings=DELIVER)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tls_certificate": None, "tls_key": None}, "TLS: "),
        ({"tls_ca": "other"}, "the certificate of the peer is not accepted"),
        ({"tls_key": Path("gone.key")}, "TLS cannot be used"),
        ({"host": "localhost"}, "the certificate of the peer is not accepted: Hostname mismatch"),
    ],
    ids=["no certificate", "another authority", "no key", "another host"],
)
def test_why_a_call_over_tls_fails_is_told(  # noqa: PLR0917 - fixtures and columns of the table
    tmp_path: Path,
    authority: Authority,
    own: tuple[Path, Path],
    theirs: tuple[Path, Path],
    values: dict[str, Any],
    words: str,
) -> None:
    if values.get("tls_ca") == "other":
        values = {"tls_ca": make_authority(tmp_path / "other", "other").ca}
    with running_storescp(tmp_path, *map(str, tls_options(theirs, authority))) as (peer, _):
        wrong = call(peer, authority, own, **values)
        with pytest.raises(TryLater, match=words):
            echo(wrong, calling_ae_title="ONCONODE", settings=DELIVER)
        if "host" in values:
            unchecked = wrong.model_copy(update={"tls_check_host": False})
            echo(unchecked, calling_ae_title="ONCONODE", settings=DELIVER)


def test_a_peer_without_tls_that_is_called_over_tls(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path]
) -> None:
    settings = DeliverSettings(acse_timeout_s=3, dimse_timeout_s=5)
    with (
        running_storescp(tmp_path) as (peer, _),
        pytest.raises(TryLater, match="storescp: TLS: "),
    ):
        echo(call(peer, authority, own), calling_ae_title="ONCONODE", settings=settings)


def test_orthanc_over_tls_in_both_directions(
    tmp_path: Path, authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    path = write_file(tmp_path / "1.dcm", make_ct())
    with tls_listener(tmp_path / "node", authority, own) as running:
        extra = {
            "DicomTlsEnabled": True,
            "DicomTlsCertificate": str(theirs[0]),
            "DicomTlsPrivateKey": str(theirs[1]),
            "DicomTlsTrustedCertificates": str(authority.ca),
            "DicomTlsRemoteCertificateRequired": True,
            "DicomModalities": {
                "node": {
                    "AET": "ONCONODE",
                    "Host": "127.0.0.1",
                    "Port": running.listener.tls_port,
                    "UseDicomTls": True,
                }
            },
        }
        with running_orthanc(tmp_path / "orthanc", extra=extra) as orthanc:
            peer = call(orthanc.peer, authority, own)
            (outcome,) = send_objects(
                [path], peer=peer, calling_ae_title="ONCONODE", settings=DELIVER
            )
            assert outcome.accepted
            assert orthanc.sop_instance_uids() == [SOP]
            (instance,) = orthanc.get("/instances")
            orthanc.post("/modalities/node/store", [instance])
            record = running.wait_for_record(RELEASED)
            assert running.store.find(SOP) is not None
    assert record.tls.startswith("TLSv1.")
    assert record.certificate == "O=Test, CN=modality"
    assert (record.calling_ae_title, record.objects_stored) == ("ORTHANC", 1)


def test_certificates_that_end_soon_are_told(
    authority: Authority, own: tuple[Path, Path], theirs: tuple[Path, Path]
) -> None:
    node = listener_settings().model_copy(
        update={"tls": TlsSettings(certificate=own[0], key=own[1], ca=authority.ca)}
    )
    peers = (
        call(Peer(name="pacs", ae_title="PACS"), authority, authority.issue("short", days=10)),
        Peer(name="plain", ae_title="PLAIN", tls_certificate=theirs[0]),
    )
    settings = Settings(node=node, peers=peers)
    found = {each.purpose: each.certificate.subject for each in list_certificates(settings)}
    assert found == {
        "tls.certificate": "O=Test, CN=node",
        "tls.ca": "O=Test, CN=authority",
        "pacs.tls_certificate": "O=Test, CN=short",
    }
    with capture_logs() as logged:
        assert warn_of_expiry(settings) == 1
    (entry,) = [entry for entry in logged if entry["event"] == "certificate.expires"]
    assert (entry["purpose"], entry["days_left"]) == ("pacs.tls_certificate", 9)
    assert entry["log_level"] == "warning"
    own[1].chmod(0o644)
    with capture_logs() as logged:
        warn_of_expiry(settings, now=datetime.now(UTC) + timedelta(days=400))
    expired = [entry for entry in logged if entry["event"] == "certificate.expired"]
    assert len(expired) == 3
    assert [e["path"] for e in logged if e["event"] == "key.readable_by_others"] == [str(own[1])]
    assert "PRIVATE" not in str(logged)
