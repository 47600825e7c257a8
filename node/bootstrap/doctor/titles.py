"""Whether AE titles are unique: in peers.yaml, and among those who call."""

import socket
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from node.bootstrap.doctor.sheet import NODE, Line, Mark
from node.config.advice import list_warnings
from node.config.settings import Peer, Settings
from node.receive.admission import is_within
from node.storage.associations import AssociationStore

CODES = ("own-ae-title", "shared-ae-title", "shared-address")
LOOKED_AT = 500
"""Associations of the latest that are asked for the addresses of a calling AE title."""
LOOPBACK = ("127.0.0.0/8", "::1/128")


def check_titles(settings: Settings, config_dir: Path, engine: Engine | None) -> Iterator[Line]:
    """Compare AE titles in the files, and who has called by them, where there is a ledger."""
    clashes = [each for each in list_warnings(settings, config_dir) if each.code in CODES]
    for clash in clashes:
        yield Line(
            about=NODE, check="AE titles", mark=Mark.WARN, tried=clash.tag or "peers.yaml",
            found=clash.found, remedy=clash.remedy,
        )  # fmt: skip
    own = settings.node.ae_title
    tried = f"{own} and the peers' titles in peers.yaml, and those who called of late"
    strangers = [address for address in _callers(engine, own) if not _is_here(address)]
    if strangers:
        yield Line(
            about=NODE, check="AE titles", mark=Mark.FAIL, tried=tried,
            found=f"somebody else calls itself {own}, from {', '.join(strangers)}",
            remedy="rename one of the two: archives tell them apart by the title alone",
        )  # fmt: skip
    if not clashes and not strangers:
        yield Line(
            about=NODE, check="AE titles", mark=Mark.PASS, tried=tried, found="no title twice"
        )


def check_callers(peer: Peer, engine: Engine | None) -> Line | None:
    """Look whether a peer's AE title is used from an address that is not the peer's."""
    if peer.allowed_addresses:
        return None  # the listener lets in from there only
    callers = _callers(engine, peer.ae_title)
    try:
        known = {str(each[4][0]) for each in socket.getaddrinfo(peer.host, None)}
    except OSError:
        return None
    others = [each for each in callers if each not in known and not _is_here(each)]
    if not others:
        return None
    return Line(
        about=peer.name, check="AE title", mark=Mark.WARN,
        tried=f"from where {peer.ae_title} called of late",
        found=f"from {', '.join(others)}; peers.yaml knows {peer.host}",
        remedy="another application may have this AE title: set allowed_addresses, or rename it",
    )  # fmt: skip


def _callers(engine: Engine | None, ae_title: str) -> list[str]:
    if engine is None:
        return []
    try:
        records = AssociationStore(engine).list(limit=LOOKED_AT, ae_title=ae_title)
    except SQLAlchemyError:  # of an older schema, perhaps; the line about the database tells
        return []
    return sorted({each.address for each in records if each.calling_ae_title == ae_title})


def _is_here(address: str) -> bool:
    """Tell whether an address is this host's."""
    if is_within(address, LOOPBACK):
        return True
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
