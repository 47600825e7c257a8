"""C-ECHO as SCU: tells whether a peer is there and knows us."""

import time

from pynetdicom.presentation import build_context

from node.config.settings import DeliverSettings, Peer
from node.deliver.association import NothingAccepted, open_association
from node.domain.errors import TryLater

VERIFICATION = "1.2.840.10008.1.1"


def echo(peer: Peer, *, calling_ae_title: str, settings: DeliverSettings) -> float:
    """Verify a peer.

    Returns
    -------
    float
        Seconds from the start of the association to the answer.

    Raises
    ------
    TryLater
        If there is no association, or the answer is no success.

    References
    ----------
    PS3.4 annex A.
    """
    started = time.monotonic()
    try:
        with open_association(
            peer,
            contexts=[build_context(VERIFICATION)],
            calling_ae_title=calling_ae_title,
            settings=settings,
        ) as association:
            answer = association.send_c_echo()
            seconds = time.monotonic() - started
    except NothingAccepted:
        raise TryLater(f"{peer.name}: does not support verification") from None
    status = answer.get("Status")
    if status != 0x0000:
        told = "no answer" if status is None else f"status 0x{status:04X}"
        raise TryLater(f"{peer.name}: {told} to C-ECHO")
    return seconds
