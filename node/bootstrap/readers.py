"""Who reads the results of a case, and in which language."""

from collections.abc import Collection, Iterable

from node.config.settings import Settings
from node.deliver.ladder import ONLY_BESIDE
from node.language import Language, Readers


def readers_of(
    settings: Settings,
    destinations: Iterable[str] = (),
    *,
    papers: Collection[Language] = (),
) -> Readers:
    """Return the readers of a case.

    Parameters
    ----------
    settings : Settings
    destinations : iterable of str
        Names of peers that the results go to; unknown ones are passed over.
    papers : collection of {"en", "zh"}
        Languages of PDF reports that somebody else asks for.
    """
    report = settings.node.report
    names = frozenset(destinations)
    peers = [peer for peer in settings.peers if peer.name in names]
    wanted = {*papers, *(peer.language or report.language for peer in peers if peer.pdf)}
    if report.pdf:
        wanted.add(report.language)
    pictures = {peer.language for peer in peers if peer.language} - {report.language}
    forms = {form for peer in peers for rung in peer.results for form in rung.split("+")}
    return Readers(
        language=report.language,
        pictures=_sorted(pictures),
        papers=_sorted(wanted),
        maps=tuple(sorted(forms & ONLY_BESIDE)),
    )


def language_of(settings: Settings, peer_name: str) -> str:
    """Return the language that a peer asks for; empty where it has that of the node."""
    return next((peer.language or "" for peer in settings.peers if peer.name == peer_name), "")


def _sorted(languages: Iterable[Language]) -> tuple[Language, ...]:
    return tuple(sorted(languages))
