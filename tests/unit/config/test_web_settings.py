"""Where the page may listen: passwords never cross a network in clear."""

import pytest
from factories_config import write_config

from node.config.load import load_settings
from node.config.settings import WebSettings
from node.domain.errors import SetupFault


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_tls(address: str) -> None:
    assert WebSettings(address=address).address == address


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7"])
def test_any_other_address_needs_a_certificate_or_a_proxy(address: str) -> None:
    with pytest.raises(ValueError, match="in clear"):
        WebSettings(address=address)
    WebSettings(address=address, certificate_file="/c.pem", key_file="/k.pem")
    WebSettings(address=address, trusted_proxies=("192.0.2.1",))


def test_certificate_and_key_stand_together() -> None:
    with pytest.raises(ValueError, match="together"):
        WebSettings(certificate_file="/c.pem")


def test_the_operator_is_told_where(tmp_path) -> None:
    directory = write_config(tmp_path, node="web:\n  enabled: true\n  address: 0.0.0.0\n")
    with pytest.raises(SetupFault) as fault:
        load_settings(directory, environment={})
    (problem,) = fault.value.problems
    assert "node.yaml" in problem.tag
    assert "in clear" in str(problem)
