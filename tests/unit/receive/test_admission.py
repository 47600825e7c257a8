"""Who may associate, rule by rule, with the answer of PS3.8 to who may not."""

from typing import Any

import pytest

from node.config.settings import Hl7, NodeSettings, Peer
from node.domain.errors import SetupFault
from node.receive.admission import Admission, Caller, Refusal, is_within

CT = Peer(
    name="ct", ae_title="CT1", allowed_addresses=("10.1.0.0/16", "fd00::/8"), maximum_associations=2
)
PACS = Peer(name="pacs", ae_title="ARCHIVE")


def make_settings(*, accept_unknown_peers: bool = True, **receive: Any) -> NodeSettings:
    node = NodeSettings(accept_unknown_peers=accept_unknown_peers)
    return node.model_copy(update={"receive": node.receive.model_copy(update=receive)})


def make_caller(calling: str = "CT1", address: str = "10.1.2.3", **values: str) -> Caller:
    return Caller(
        address=address,
        calling_ae_title=calling,
        **{"called_ae_title": "ONCONODE", **values},
    )


def enter(caller: Caller, *peers: Peer, **settings: Any) -> Peer | Refusal | None:
    return Admission(make_settings(**settings), peers or (CT, PACS)).enter("t", caller)


@pytest.mark.parametrize(
    ("caller", "settings", "code", "words"),
    [
        (
            make_caller(),
            {"allowed_addresses": ("192.168.0.0/24",)},
            "1/1/1",
            "10.1.2.3 is not within receive.allowed_addresses",
        ),
        (make_caller(application_context="1.2.3"), {}, "1/1/2", "application context"),
        (
            make_caller("MR9"),
            {"accept_unknown_peers": False},
            "1/1/3",
            "'MR9' is not in peers.yaml",
        ),
        (
            make_caller(address="10.2.0.1"),
            {},
            "1/1/3",
            "10.2.0.1 is not within allowed_addresses of ct",
        ),
        (
            make_caller(called_ae_title="OTHER"),
            {"called_ae_titles": ("ONCO_STAT",)},
            "1/1/7",
            "called AE title 'OTHER' is not the node's: ONCONODE, ONCO_STAT",
        ),
    ],
)
def test_refusals(caller: Caller, settings: dict[str, Any], code: str, words: str) -> None:
    found = enter(caller, **settings)
    assert isinstance(found, Refusal)
    assert found.code == code
    assert words in found.reason


def test_who_is_let_in() -> None:
    assert enter(make_caller()) == CT
    assert enter(make_caller("STRANGER")) is None
    assert enter(make_caller("ARCHIVE", "192.0.2.1"), accept_unknown_peers=False) == PACS
    assert enter(make_caller(called_ae_title="STAT"), called_ae_titles=("STAT",)) == CT
    assert enter(make_caller(called_ae_title="ANY"), check_called_ae_title=False) == CT
    assert enter(make_caller(), allowed_addresses=("10.0.0.0/8",)) == CT


def test_a_blank_ae_title_is_not_that_of_a_receiver_of_messages() -> None:
    ris = Peer(name="ris", port=2575, hl7=Hl7())
    admission = Admission(make_settings(accept_unknown_peers=False), (CT, ris))
    refused = admission.enter("a", make_caller(""))
    assert isinstance(refused, Refusal)
    assert refused.code == "1/1/3"


def test_one_ae_title_on_two_hosts_is_told_apart_by_address() -> None:
    other = CT.model_copy(update={"name": "ct2", "allowed_addresses": ("10.2.0.0/16",)})
    assert enter(make_caller(address="10.2.0.9"), CT, other) == other
    refused = enter(make_caller(address="10.3.0.9"), CT, other)
    assert isinstance(refused, Refusal)
    assert "ct, ct2" in refused.reason


def test_limits_of_a_peer_and_of_the_node_are_transient() -> None:
    admission = Admission(make_settings(maximum_associations=3), (CT, PACS))
    assert [admission.enter(token, make_caller()) for token in "ab"] == [CT, CT]
    third = admission.enter("c", make_caller())
    assert isinstance(third, Refusal)
    assert (third.code, third.result) == ("2/3/2", 2)
    assert "2 associations of ct" in third.reason
    assert admission.enter("d", make_caller("ARCHIVE")) == PACS
    full = admission.enter("e", make_caller("ARCHIVE"))
    assert isinstance(full, Refusal)
    assert full.code == "2/3/2"
    assert "3 associations are open" in full.reason
    assert admission.inside == {"ct": 2, "pacs": 1}
    for token in "aac":  # a second time, and of one that was refused, is nothing
        admission.leave(token)
    assert admission.enter("f", make_caller()) == CT


def test_a_closed_node_refuses_for_now() -> None:
    words = ["the disk is nearly full"]
    admission = Admission(make_settings(), (), closed=lambda: words[0])
    refused = admission.enter("a", make_caller())
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.reason) == ("2/3/1", words[0])
    words[0] = ""
    assert admission.enter("a", make_caller()) is None


def test_changed_settings_decide_from_then_on_unless_nobody_could_enter() -> None:
    admission = Admission(make_settings(), (CT,))
    with pytest.raises(SetupFault, match="accept_unknown_peers"):
        admission.take_up(make_settings(accept_unknown_peers=False), ())
    assert admission.enter("a", make_caller("STRANGER")) is None
    admission.take_up(make_settings(accept_unknown_peers=False), (CT,))
    assert isinstance(admission.enter("b", make_caller("STRANGER")), Refusal)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.1.0.1", True),
        ("::ffff:10.1.0.1", True),
        ("10.2.0.1", False),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("fe80::1%eth0", False),
    ],
)
def test_addresses_of_both_families(address: str, expected: bool) -> None:
    assert is_within(address, CT.allowed_addresses) is expected
