"""TLS contexts: only what BCP 195 allows, files that fit, and renewal without a restart."""

import ssl
from pathlib import Path

import pytest
from certificates import Authority, make_authority

from node.dicom.tls import RenewedContext, TlsFiles, client_context, explain, server_context
from node.domain.errors import SetupFault


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def files(authority) -> TlsFiles:
    certificate, key = authority.issue("node")
    return TlsFiles(certificate=certificate, key=key, ca=authority.ca)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "127.0.0.1"):
    """Handshake in memory; returns both ends, raises what a side raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = [False, False]
    for _ in range(10):
        for i, end in enumerate(ends):
            try:
                end.do_handshake()
                done[i] = True
            except ssl.SSLWantReadError:
                pass
        if all(done):
            return ends
    raise AssertionError("the handshake does not end")


def test_both_sides_show_their_certificates_over_tls_1_3(files):
    client, server = shake_hands(
        server_context(files, require_client_certificate=True),
        client_context(files, check_host=True),
    )
    assert client.version() == server.version() == "TLSv1.3"
    assert server.getpeercert()["subject"][-1] == (("commonName", "node"),)


def test_a_peer_of_tls_1_2_gets_an_ephemeral_key_and_aead(files):
    client = client_context(files, check_host=True)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    _, server = shake_hands(server_context(files, require_client_certificate=True), client)
    name, version, bits = server.cipher()
    assert version == "TLSv1.2"
    assert name.startswith("ECDHE-")
    assert "GCM" in name or "POLY1305" in name
    assert bits >= 128


def other_client(**changes) -> ssl.SSLContext:
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    for name, value in changes.items():
        setattr(client, name, value)
    return client


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_are_refused(files):
    client = other_client()
    client.minimum_version = ssl.TLSVersion.TLSv1
    client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(server_context(files, require_client_certificate=False), client)
    assert explain(caught.value) == "the peer offers neither TLS 1.2 nor 1.3"


@pytest.mark.parametrize("suites", ["AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA"])
def test_suites_without_forward_secrecy_or_aead_are_refused(files, suites):
    client = other_client(maximum_version=ssl.TLSVersion.TLSv1_2)
    client.set_ciphers(suites)
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(server_context(files, require_client_certificate=False), client)
    assert explain(caught.value) == "the peer offers no cipher suite of BCP 195"


def test_no_certificate_and_a_strangers_are_told_apart(files, tmp_path):
    server = server_context(files, require_client_certificate=True)
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(server, other_client())
    assert explain(caught.value) == "the peer showed no certificate"
    certificate, key = make_authority(tmp_path, "stranger").issue("evil")
    stranger = other_client()
    stranger.load_cert_chain(certificate, key)
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(server, stranger)
    assert "the certificate of the peer is not accepted" in explain(caught.value)


def test_the_host_is_checked_unless_told_otherwise(files, authority):
    certificate, key = authority.issue("elsewhere", host="10.1.2.3")
    elsewhere = TlsFiles(certificate=certificate, key=key, ca=authority.ca)
    server = server_context(elsewhere, require_client_certificate=False)
    with pytest.raises(ssl.SSLError) as caught:
        shake_hands(server, client_context(files, check_host=True))
    assert "127.0.0.1" in explain(caught.value)
    shake_hands(server, client_context(files, check_host=False))


def test_a_key_of_another_certificate_is_a_setup_fault(files, authority):
    _, other = authority.issue("other")
    mixed = TlsFiles(certificate=files.certificate, key=other, ca=files.ca)
    with pytest.raises(SetupFault, match="key values mismatch"):
        server_context(mixed, require_client_certificate=True)


def test_an_encrypted_key_wants_its_password_file_and_no_terminal(files, authority, tmp_path):
    certificate, key = authority.issue("locked", password="open sesame")
    locked = TlsFiles(certificate=certificate, key=key, ca=files.ca)
    with pytest.raises(SetupFault, match="key_password_file"):
        server_context(locked, require_client_certificate=True)
    password = tmp_path / "password"
    for text, works in (("wrong\n", False), ("open sesame\n", True)):
        password.write_text(text)
        full = TlsFiles(certificate=certificate, key=key, key_password_file=password, ca=files.ca)
        if works:
            server_context(full, require_client_certificate=True)
            continue
        with pytest.raises(SetupFault) as caught:
            server_context(full, require_client_certificate=True)
        assert "wrong" not in str(caught.value).replace("wrong password", "")


def test_a_caller_needs_an_authority(files):
    with pytest.raises(SetupFault, match="authorities"):
        client_context(TlsFiles(certificate=files.certificate, key=files.key), check_host=True)


def test_renewed_files_are_used_and_broken_ones_are_not(files, authority, tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    own = TlsFiles(certificate=certificate, key=key, ca=authority.ca)

    def put(name: str) -> None:
        for target, source in zip((certificate, key), authority.issue(name), strict=True):
            target.write_bytes(source.read_bytes())

    def shown(context: ssl.SSLContext) -> str:
        client, _ = shake_hands(context, client_context(files, check_host=True))
        return str(client.getpeercert()["subject"][-1][0][1])

    put("first")
    renewed = RenewedContext(lambda: server_context(own, require_client_certificate=False), own)
    assert shown(renewed.get()) == "first"
    assert renewed.get() is renewed.get()
    put("second")
    assert shown(renewed.get()) == "second"
    Path(key).write_text("broken")
    assert shown(renewed.get()) == "second"
    key.unlink()
    assert shown(renewed.get()) == "second"
