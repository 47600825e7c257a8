"""Questions to peers, wired from the settings: for the dispatcher, for assembling, for people."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from node.config.settings import Peer, Settings
from node.deliver.c_store import SendOutcome, send_objects
from node.deliver.proof import LookFor, Presence
from node.domain.errors import SetupFault
from node.jobs.job import Delivery
from node.query.archives import open_archive
from node.query.dimse import DimseArchive
from node.query.found import Archive, Fetched, Wanted, count_instances
from node.query.presence import look_for_deliveries
from node.storage.scratch import scratch_folder

LOOPBACK = "127.0.0.1"
ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to

CountInstances = Callable[[str], Mapping[str, int]]
"""Study Instance UID -> (Series Instance UID -> number of objects)."""


def archive_of(settings: Settings, peer: Peer) -> Archive:
    """Return the archive behind a peer."""
    return open_archive(
        peer, calling_ae_title=settings.node.ae_title, settings=settings.node.deliver
    )


def look_for(settings: Settings) -> LookFor:
    """Return what asks a destination whether it holds what it accepted."""

    def ask(peer: Peer, deliveries: Sequence[Delivery]) -> dict[int, Presence]:
        return look_for_deliveries(archive_of(settings, peer), deliveries)

    return ask


def counter_of(settings: Settings, peer: Peer) -> CountInstances:
    """Return what asks a peer how many objects it holds of each series of a study."""

    def count(study_instance_uid: str) -> Mapping[str, int]:
        return count_instances(archive_of(settings, peer), study_instance_uid)

    return count


def fetch_to_node(
    settings: Settings, peer: Peer, wanted: Wanted, *, by_get: bool = False
) -> Fetched:
    """Bring objects of a peer to the node's own listener, which checks and keeps them.

    Parameters
    ----------
    settings : Settings
    peer : Peer
    wanted : Wanted
    by_get : bool
        C-GET and a C-STORE on this host, for archives that do not know the node; else C-MOVE.
        Of DICOMweb there is only one way.

    Raises
    ------
    TryLater
        If the peer or the node's listener cannot be reached.
    QueryRefused
        If the peer does not offer the service, or does not know the node.
    """
    archive = archive_of(settings, peer)
    if isinstance(archive, DimseArchive) and not by_get:
        return archive.move(wanted, destination_ae_title=settings.node.ae_title)
    with scratch_folder(settings.node.data_dir, "fetch") as folder:
        fetched = archive.get(wanted, folder)
        if not fetched.paths:
            return Fetched(completed=0, failed=fetched.failed)
        # rules ask who sent a study: the archive did
        outcomes = hand_to_node(settings, fetched.paths, calling_ae_title=peer.ae_title)
    accepted = sum(outcome.accepted for outcome in outcomes)
    return Fetched(completed=accepted, failed=fetched.failed + len(outcomes) - accepted)


def hand_to_node(
    settings: Settings, paths: Sequence[Path], *, calling_ae_title: str
) -> tuple[SendOutcome, ...]:
    """Give files to the node's own listener, which checks, keeps or quarantines each.

    Raises
    ------
    TryLater
        If the listener cannot be reached, or lets nobody of that AE title in.
    SetupFault
        If it has no plain port.
    """
    return send_objects(
        paths,
        peer=_own_listener(settings),
        calling_ae_title=calling_ae_title,
        settings=settings.node.deliver,
    )


def _own_listener(settings: Settings) -> Peer:
    node = settings.node
    if node.port == 0 or (node.tls.is_listening and node.tls.listen == "only"):
        raise SetupFault("the node has no plain port of its own to bring objects to; use C-MOVE")
    host = LOOPBACK if node.bind_address in ANY_ADDRESS else node.bind_address
    return Peer(name="this-node", ae_title=node.ae_title, host=host, port=node.port)
