"""TLS in the settings: files of the node for its peers, and what does not fit together."""

from pathlib import Path

import pytest

from node.config.load import load_settings
from node.domain.errors import SetupFault

NODE = "tls: {certificate: node.pem, key: node.key, ca: ca.pem}\n"
FILES = ("node.pem", "node.key", "ca.pem", "other.pem", "other.key", "other-ca.pem")


def load(root: Path, *, node: str = NODE, peer: str = ""):
    directory = root / "dicom_conf"
    directory.mkdir()
    for name in FILES:
        (root / name).write_text("")
    (directory / "node.yaml").write_text(node)
    entry = f"peers:\n  - {{name: pacs, ae_title: ARCHIVE{peer}}}\n"
    (directory / "peers.yaml").write_text(entry)
    return load_settings(directory, environment={})


def faults(root: Path, **texts: str) -> list[tuple[str, str]]:
    with pytest.raises(SetupFault) as caught:
        load(root, **texts)
    return [(problem.code, Path(problem.tag).name) for problem in caught.value.problems]


def test_without_certificate_there_is_no_tls_port(tmp_path):
    settings = load(tmp_path, node="")
    assert not settings.node.tls.is_listening


def test_a_peer_with_tls_gets_the_files_of_the_node(tmp_path):
    settings = load(tmp_path, peer=", tls: true")
    assert settings.node.tls.is_listening
    peer = settings.peer("pacs")
    assert peer.tls_ca == tmp_path / "ca.pem"
    assert (peer.tls_certificate, peer.tls_key) == (tmp_path / "node.pem", tmp_path / "node.key")


def test_a_peer_without_tls_gets_none(tmp_path):
    assert load(tmp_path).peer("pacs").tls_ca is None


def test_files_of_a_peer_win_and_stay_together(tmp_path):
    peer = ", tls: true, tls_ca: other-ca.pem, tls_certificate: other.pem, tls_key: other.key"
    node = NODE.replace("key:", "key_password_file: other.key, key:")
    found = load(tmp_path, node=node, peer=peer).peer("pacs")
    assert found.tls_ca == tmp_path / "other-ca.pem"
    assert found.tls_certificate == tmp_path / "other.pem"
    assert found.tls_key == tmp_path / "other.key"
    assert found.tls_key_password_file is None, "the password is that of the node's own key"


@pytest.mark.parametrize(
    ("node", "peer", "expected"),
    [
        ("tls: {certificate: gone.pem, key: node.key, ca: ca.pem}", "", "missing-file"),
        ("tls: {certificate: node.pem, ca: ca.pem}", "", "incomplete-tls"),
        ("tls: {key: node.key, ca: ca.pem}", "", "incomplete-tls"),
        ("tls: {certificate: node.pem, key: node.key}", "", "no-authority"),
        ("tls: {listen: only}", "", "no-certificate"),
        (NODE.replace("{", "{port: 11112, "), "", "port-clash"),
        ("", ", tls: true", "no-authority"),
        ("", ", tls_certificate: other.pem", "incomplete-tls"),
        (NODE, ", tls: true, tls_ca: gone.pem", "missing-file"),
        ("receive: {allowed_addresses: [10.1.2.3/16]}", "", "bad-value"),
        ("", ", allowed_addresses: [everywhere]", "bad-value"),
        ("", ", permissions: [delete]", "bad-value"),
    ],
)
def test_faults_are_told(tmp_path, node, peer, expected):
    (fault,) = faults(tmp_path, node=node, peer=peer)
    assert fault[0] == expected
    assert fault[1].startswith("peers.yaml:2" if peer else "node.yaml:1")


def test_a_certificate_for_outgoing_associations_needs_no_authority_of_its_own(tmp_path):
    load(tmp_path, node="tls: {listen: never, certificate: node.pem, key: node.key}\n")


def test_the_tls_port_may_be_the_only_one(tmp_path):
    node = "port: 2762\n" + NODE.replace("{", "{listen: only, ")
    assert load(tmp_path, node=node).node.tls.port == 2762
