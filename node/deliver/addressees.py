"""What of a result goes where: objects to archives, messages to RIS and FHIR servers."""

from collections.abc import Iterable, Mapping

from node.config.settings import Fhir, Hl7, Peer
from node.domain.report import MESSAGES, Evidence, EvidenceKind
from node.domain.triage import Triage
from node.jobs.outbox import GoesTo


def messages_for(destinations: Iterable[Peer]) -> frozenset[EvidenceKind]:
    """Return the kinds of messages that destinations take."""
    return frozenset(kind for peer in destinations for kind, _ in _messages_of(peer))


def addressees(peers: Mapping[str, Peer], triage: Triage) -> GoesTo:
    """Return what tells where each piece of a result goes.

    Parameters
    ----------
    peers : mapping of str to Peer
        By name; to one that is not known goes what goes to an archive.
    triage : Triage
        Of the result: some receivers of messages want flagged ones only.
    """

    def goes_to(destination: str, item: Evidence) -> bool:
        peer = peers.get(destination)
        if peer is None or not peer.takes_messages:
            return item.kind not in MESSAGES
        return any(
            item.kind is kind and (service.send == "all" or triage.is_flagged)
            for kind, service in _messages_of(peer)
        )

    return goes_to


def _messages_of(peer: Peer) -> list[tuple[EvidenceKind, Hl7 | Fhir]]:
    pairs = ((EvidenceKind.ORU, peer.hl7), (EvidenceKind.FHIR, peer.fhir))
    return [(kind, service) for kind, service in pairs if service is not None]
