"""Who reads the results of a case, and in which language."""

import pytest

from node.bootstrap.readers import language_of, readers_of
from node.config.settings import NodeSettings, Peer, ReportSettings, Settings
from node.language import Readers


def settings(language: str = "en", *, pdf: bool = False) -> Settings:
    return Settings(
        node=NodeSettings(report=ReportSettings(language=language, pdf=pdf)),
        peers=(
            Peer(name="plain", ae_title="PLAIN"),
            Peer(name="paper", ae_title="PAPER", pdf=True),
            Peer(name="chinese", ae_title="CHINESE", pdf=True, language="zh"),
            Peer(name="pictures", ae_title="PICTURES", language="zh"),
        ),
    )


@pytest.mark.parametrize(
    ("of", "destinations", "expected"),
    [
        (settings(), ["plain", "gone"], Readers()),
        (settings(), ["paper"], Readers(papers=("en",))),
        (settings("zh"), ["paper"], Readers(language="zh", papers=("zh",))),
        (settings(), ["paper", "chinese"], Readers(pictures=("zh",), papers=("en", "zh"))),
        (settings("zh"), ["chinese"], Readers(language="zh", papers=("zh",))),
        (settings(), ["pictures"], Readers(pictures=("zh",))),
        (settings(pdf=True), ["plain"], Readers(papers=("en",))),
        (settings("zh", pdf=True), [], Readers(language="zh", papers=("zh",))),
    ],
)
def test_what_is_made_is_what_the_destinations_ask_for(
    of: Settings, destinations: list[str], expected: Readers
) -> None:
    assert readers_of(of, destinations) == expected


def test_somebody_else_may_ask_too() -> None:
    assert readers_of(settings(), ["paper"], papers=["zh"]).papers == ("en", "zh")


def test_a_peer_without_a_language_has_that_of_the_node() -> None:
    assert language_of(settings(), "chinese") == "zh"
    assert language_of(settings("zh"), "paper") == language_of(settings(), "gone") == ""


def test_files_in_the_language_of_the_node_have_plain_names() -> None:
    readers = Readers(language="zh", pictures=("en",))
    assert (readers.suffix("zh"), readers.suffix("en")) == ("", "_en")
