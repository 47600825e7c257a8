"""Which way a peer is asked."""

from node.config.settings import DeliverSettings, Peer
from node.domain.errors import SetupFault
from node.query.dimse import DimseArchive
from node.query.found import Archive


def open_archive(peer: Peer, *, calling_ae_title: str, settings: DeliverSettings) -> Archive:
    """Return the archive behind a peer: by DICOMweb where ``peers.yaml`` says so, else by DIMSE.

    Raises
    ------
    SetupFault
        If the peer gets messages, and is no archive.
    """
    if peer.takes_messages:
        raise SetupFault(f"{peer.name} gets messages: it is no archive")
    if peer.dicomweb is not None and peer.dicomweb.query:
        from node.query.web import WebArchive

        return WebArchive(peer=peer, settings=settings)
    return DimseArchive(peer=peer, calling_ae_title=calling_ae_title, settings=settings)
