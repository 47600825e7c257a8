"""Proof of delivery and commitment for peers, wired for the listener and the dispatcher."""

from node.bootstrap.asking import look_for
from node.bootstrap.parts import Parts
from node.deliver.commitment_report import CommitmentReporter
from node.deliver.proof import ProofSeeker
from node.jobs.backoff import Backoff
from node.jobs.commitment_requests import CommitmentRequests
from node.jobs.rounds import DestinationRounds
from node.receive.commitment import CommitmentService


def commitment_requests(parts: Parts) -> CommitmentRequests:
    """Return what peers have asked this node to commit to."""
    deliver = parts.settings.node.deliver
    return CommitmentRequests(
        parts.engine,
        backoff=Backoff(first_s=deliver.retry_backoff_s, maximum_s=deliver.retry_backoff_maximum_s),
        maximum_attempts=deliver.maximum_attempts,
    )


def commitment_service(parts: Parts) -> CommitmentService:
    """Return what the listener offers."""
    return CommitmentService(
        requests=commitment_requests(parts),
        held=parts.store.held_classes,
        record_report=parts.ledger.record_report,
        answers=parts.settings.node.receive.answer_commitment,
    )


def proof_rounds(parts: Parts) -> tuple[DestinationRounds, ...]:
    """Return what the dispatcher asks of destinations, and answers to peers, again and again."""
    requests = commitment_requests(parts)

    # Made for each call: peers may change while the node runs.
    def seek(destination: str) -> None:
        settings = parts.settings
        ProofSeeker(
            ledger=parts.ledger,
            peers={peer.name: peer for peer in settings.peers},
            calling_ae_title=settings.node.ae_title,
            settings=settings.node.deliver,
            look_for=look_for(settings),
        ).seek(destination)

    def report(ae_title: str) -> None:
        settings = parts.settings
        CommitmentReporter(
            requests=requests,
            peers=settings.peers,
            held=parts.store.held_classes,
            calling_ae_title=settings.node.ae_title,
            settings=settings.node.deliver,
        ).report(ae_title)

    return (
        DestinationRounds("prove", due=parts.ledger.destinations_to_prove, call=seek),
        DestinationRounds("report", due=requests.due_ae_titles, call=report),
    )
