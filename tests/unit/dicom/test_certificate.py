"""Certificates are read as openssl made them, and files that are none are told."""

from datetime import UTC, datetime, timedelta

import pytest
from certificates import Authority, make_authority

from node.dicom.certificate import read_certificate, read_certificates, soonest
from node.domain.errors import SetupFault


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


def test_subject_issuer_and_end(authority):
    now = datetime.now(UTC)
    certificate, _ = authority.issue("pacs", days=20)
    found = read_certificate(certificate)
    assert (found.subject, found.issuer) == ("O=Test, CN=pacs", "O=Test, CN=authority")
    assert found.path == certificate
    assert 19.9 < found.days_left(now) < 20.1
    assert found.days_left(now + timedelta(days=21)) < 0
    assert found.not_before <= now + timedelta(minutes=1)


def test_a_chain_ends_with_its_shortest_member(authority, tmp_path):
    long, _ = authority.issue("long", days=300)
    short, _ = authority.issue("short", days=3)
    chain = tmp_path / "chain.pem"
    chain.write_text("a comment\n" + long.read_text() + short.read_text())
    found = read_certificates(chain)
    assert [each.subject for each in found] == ["O=Test, CN=long", "O=Test, CN=short"]
    assert read_certificate(chain).subject == "O=Test, CN=long"
    assert soonest(found).subject == "O=Test, CN=short"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30\x82\x01\x0a",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate_is_a_setup_fault(tmp_path, content):
    path = tmp_path / "none.pem"
    path.write_bytes(content)
    with pytest.raises(SetupFault, match="no certificate in"):
        read_certificate(path)
    with pytest.raises(SetupFault, match="no certificate in"):
        read_certificate(tmp_path / "gone.pem")
