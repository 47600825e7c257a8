"""What is allowed and yet probably a mistake: told as warnings, which stop nothing."""

from collections.abc import Iterator
from pathlib import Path

from node.config.checks import LOOPBACK, list_entries, list_roles
from node.config.document import Document, read_document
from node.config.files import PEERS_FILE, ROUTING_FILE
from node.config.reach import check_reach
from node.config.settings import Settings
from node.domain.errors import Problem


def list_warnings(settings: Settings, directory: Path) -> list[Problem]:
    """Return the warnings about files that have no faults.

    Parameters
    ----------
    settings : Settings
        As ``load_settings`` made them of the directory.
    directory : Path
        Of the yaml files; read again for the lines.
    """
    peers = read_document(directory / PEERS_FILE)
    routing = read_document(directory / ROUTING_FILE)
    models_dir = settings.node.models_dir

    def has_roles(bundle: str) -> bool:
        return bool(list_roles(models_dir, bundle))

    return [
        *_check_titles(peers, settings),
        *_check_answers(peers, settings),
        *check_reach(settings.routing, routing, has_roles),
    ]


def _check_titles(document: Document, settings: Settings) -> Iterator[Problem]:
    """AE titles and addresses that two entries share."""
    by_title: dict[str, int] = {}
    by_address: dict[tuple[str, int], int] = {}
    lines = {i: document.place(("peers", i)) for i, _ in list_entries(document, "peers")}
    for i, peer in enumerate(settings.peers):
        place = lines.get(i, str(document.path))
        if peer.takes_messages:
            continue
        if peer.ae_title == settings.node.ae_title:
            yield Problem(
                code="own-ae-title",
                tag=place,
                found=f"peer {peer.name} has the node's own AE title {peer.ae_title}",
                expected="an AE title that no other application has",
                remedy="rename one of the two",
            )
        first = by_title.setdefault(peer.ae_title, i)
        if first != i:
            yield Problem(
                code="shared-ae-title",
                tag=place,
                found=f"AE title {peer.ae_title} on {peer.host}; {settings.peers[first].name} "
                f"has it on {settings.peers[first].host}",
                expected="an AE title for each application: a sender is known by it",
                remedy="rename one of the two",
            )
        host = "this host" if peer.host.lower() in LOOPBACK else peer.host.lower()
        first = by_address.setdefault((host, peer.port), i)
        if first != i and settings.peers[first].ae_title != peer.ae_title:
            yield Problem(
                code="shared-address",
                tag=place,
                found=f"{peer.host}:{peer.port}, where {settings.peers[first].name} is too",
                expected="an address for each peer, unless one server answers to both AE titles",
                remedy="correct host or port, or leave it if the server has both titles",
            )


def _check_answers(document: Document, settings: Settings) -> Iterator[Problem]:
    """Archives that are asked for commitment and may not call the node to answer."""
    asked = {name for rule in settings.routing for name in rule.destinations}
    for i, _ in list_entries(document, "peers"):
        peer = settings.peers[i]
        by_dimse = not peer.takes_messages and not (peer.dicomweb and peer.dicomweb.store)
        if peer.name not in asked or not by_dimse or peer.commitment == "off":
            continue
        if peer.permissions and "commit" not in peer.permissions:
            yield Problem(
                code="answer-not-permitted",
                tag=document.place(("peers", i)),
                found=f"{peer.name} is asked for storage commitment; its permissions are "
                f"{', '.join(peer.permissions)}",
                expected="commit among them: an archive may answer on an association of its own",
                remedy="add commit, or set commitment: off",
            )
