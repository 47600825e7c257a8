"""Which peer a person means."""

import re

import typer

from node.config.settings import Peer, Settings

DIRECT = re.compile(r"^(?P<title>[^@\\]{1,16})@(?P<host>[^@\s]+):(?P<port>\d{1,5})$")


def find_peer(settings: Settings, text: str) -> Peer:
    """Find a peer by name, by AE title, or from ``AE@HOST:PORT``.

    Raises
    ------
    typer.BadParameter
        If none fits, or an AE title fits several.
    """
    for peer in settings.peers:
        if peer.name == text:
            return peer
    titled = [peer for peer in settings.peers if text and peer.ae_title == text]
    if len(titled) == 1:
        return titled[0]
    if titled:
        names = ", ".join(peer.name for peer in titled)
        raise typer.BadParameter(f"several peers have the AE title {text!r}: say one of {names}")
    direct = DIRECT.match(text)
    if direct and 1 <= int(direct["port"]) <= 65535:
        return Peer(
            name="command-line",
            ae_title=direct["title"],
            host=direct["host"],
            port=int(direct["port"]),
        )
    titles = (f"{peer.name} ({peer.ae_title or 'messages'})" for peer in settings.peers)
    known = ", ".join(titles) or "none"
    raise typer.BadParameter(f"no peer {text!r}; peers.yaml has: {known}; or say AE@HOST:PORT")
