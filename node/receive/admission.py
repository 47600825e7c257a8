"""Who may associate: every rule in the order in which it is asked, and the answer to who may not.

References
----------
PS3.8 section 7.1.1.7 to 7.1.1.9 and table 9-21 (result, source and reason of a rejection).
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from node.config.settings import NodeSettings, Peer
from node.domain.errors import SetupFault

DICOM_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

PERMANENT, TRANSIENT = 1, 2
SERVICE_USER, ACSE, PRESENTATION = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks for an association.

    Parameters
    ----------
    address : str
        IP address.
    calling_ae_title, called_ae_title : str
        Without the spaces around them.
    application_context : str
        UID as sent.
    would_store : bool
        Whether it proposes a storage class; Verification and answers to requests for commitment
        need no room.
    """

    address: str
    calling_ae_title: str
    called_ae_title: str
    application_context: str = DICOM_APPLICATION_CONTEXT
    would_store: bool = True


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The answer to who may not associate.

    Parameters
    ----------
    result, source, diagnostic : int
        Of the A-ASSOCIATE-RJ.
    reason : str
        In words, for the administrator; the caller gets only the numbers.
    """

    result: int
    source: int
    diagnostic: int
    reason: str

    @property
    def code(self) -> str:
        """Result, source and reason, such as ``1/1/7``."""
        return f"{self.result}/{self.source}/{self.diagnostic}"


NO_REASON_GIVEN = (PERMANENT, SERVICE_USER, 1)
APPLICATION_CONTEXT = (PERMANENT, SERVICE_USER, 2)
CALLING_AE_TITLE = (PERMANENT, SERVICE_USER, 3)
CALLED_AE_TITLE = (PERMANENT, SERVICE_USER, 7)
TEMPORARY_CONGESTION = (TRANSIENT, PRESENTATION, 1)
LOCAL_LIMIT_EXCEEDED = (TRANSIENT, PRESENTATION, 2)


class Admission:
    """Decides who may associate, and knows who is inside.

    Parameters
    ----------
    settings : NodeSettings
    peers : tuple of Peer
    closed : callable, optional
        Why the node takes no objects at the moment, in words; empty text if it does.

    Raises
    ------
    SetupFault
        Nobody could ever associate.
    """

    def __init__(
        self,
        settings: NodeSettings,
        peers: tuple[Peer, ...],
        *,
        closed: Callable[[], str] = str,
    ) -> None:
        self._closed = closed
        self._lock = threading.Lock()
        self._inside: dict[str, str] = {}
        self.take_up(settings, peers)

    def take_up(self, settings: NodeSettings, peers: tuple[Peer, ...]) -> None:
        """Decide by other settings from now on; who is inside stays.

        Raises
        ------
        SetupFault
            Nobody could associate; all stays as it was.
        """
        if not settings.accept_unknown_peers and not peers:
            raise SetupFault(
                "accept_unknown_peers is false and peers.yaml names no peer: nobody could "
                "send; add the senders, or set accept_unknown_peers to true"
            )
        self._settings, self._peers = settings, peers

    def enter(self, token: str, caller: Caller) -> Peer | Refusal | None:
        """Let a caller in or tell why not.

        Parameters
        ----------
        token : str
            Tells this association from all others; ``leave`` is called with it.
        caller : Caller

        Returns
        -------
        Peer, Refusal or None
            The entry of ``peers.yaml``, None for one that has none but may associate.
        """
        # may look at the disk: not under the lock
        closed = self._closed() if caller.would_store else ""
        with self._lock:
            found = self._refuse(TEMPORARY_CONGESTION, closed) if closed else self._decide(caller)
            if not isinstance(found, Refusal):
                self._inside[token] = found.name if found is not None else ""
            return found

    def leave(self, token: str) -> None:
        """Free the place of an association; a second time is nothing."""
        with self._lock:
            self._inside.pop(token, None)

    @property
    def inside(self) -> Counter[str]:
        """How many associations each peer has open, by name; empty text for unknown peers."""
        with self._lock:
            return Counter(self._inside.values())

    def _decide(self, caller: Caller) -> Peer | Refusal | None:
        receive = self._settings.receive
        if not is_within(caller.address, receive.allowed_addresses):
            return self._refuse(
                NO_REASON_GIVEN, f"{caller.address} is not within receive.allowed_addresses"
            )
        if caller.application_context != DICOM_APPLICATION_CONTEXT:
            return self._refuse(APPLICATION_CONTEXT, "the application context is not DICOM's")
        own = (self._settings.ae_title, *receive.called_ae_titles)
        if receive.check_called_ae_title and caller.called_ae_title not in own:
            return self._refuse(
                CALLED_AE_TITLE,
                f"called AE title {caller.called_ae_title!r} is not the node's: {', '.join(own)}",
            )
        peer = self._peer_of(caller)
        if isinstance(peer, Refusal):
            return peer
        return self._count(peer)

    def _peer_of(self, caller: Caller) -> Peer | Refusal | None:
        title = caller.calling_ae_title
        # receivers of messages have no AE title, and a blank one is nobody's
        titled = [peer for peer in self._peers if peer.ae_title and peer.ae_title == title]
        for peer in titled:
            if is_within(caller.address, peer.allowed_addresses):
                return peer
        if titled:
            names = ", ".join(peer.name for peer in titled)
            return self._refuse(
                CALLING_AE_TITLE,
                f"{caller.address} is not within allowed_addresses of {names}",
            )
        if self._settings.accept_unknown_peers:
            return None
        return self._refuse(
            CALLING_AE_TITLE,
            f"calling AE title {title!r} is not in peers.yaml, accept_unknown_peers is false",
        )

    def _count(self, peer: Peer | None) -> Peer | Refusal | None:
        if peer is not None and peer.maximum_associations:
            of_peer = sum(name == peer.name for name in self._inside.values())
            if of_peer >= peer.maximum_associations:
                return self._refuse(
                    LOCAL_LIMIT_EXCEEDED,
                    f"{of_peer} associations of {peer.name} are open, its maximum_associations",
                )
        most = self._settings.receive.maximum_associations
        if len(self._inside) >= most:
            return self._refuse(
                LOCAL_LIMIT_EXCEEDED,
                f"{len(self._inside)} associations are open, receive.maximum_associations",
            )
        return peer

    @staticmethod
    def _refuse(answer: tuple[int, int, int], reason: str) -> Refusal:
        result, source, diagnostic = answer
        return Refusal(result=result, source=source, diagnostic=diagnostic, reason=reason)


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Tell whether an IP address lies in one of the networks; without any, all do.

    An IPv4 address that a socket of both families gives as ``::ffff:a.b.c.d`` is that IPv4 address.
    """
    ranges = [ip_network(text) for text in networks]
    if not ranges:
        return True
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in ranges)
