"""Carries due deliveries to their peers and writes down in the ledger what became of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_store import SendOutcome, send_objects
from node.deliver.calling import OnNegotiated
from node.domain.errors import SetupFault, TryLater
from node.jobs.job import Delivery

log = structlog.get_logger()


class DeliveryLedger(Protocol):
    """Where the outbox writes what became of a delivery."""

    def delivery_done(self, delivery_id: int, owner: str) -> object:
        """Mark it as accepted by the peer."""

    def delivery_failed(self, delivery_id: int, owner: str, *, error: str, retry: bool) -> object:
        """Mark an attempt as failed; without ``retry`` it is given up."""


@dataclass(frozen=True, kw_only=True)
class DeliveryCounts:
    """How many deliveries of a batch ended how."""

    accepted: int = 0
    retried: int = 0
    given_up: int = 0


def deliver_batch(
    deliveries: Sequence[Delivery],
    *,
    ledger: DeliveryLedger,
    peers: Mapping[str, Peer] | Iterable[Peer],
    calling_ae_title: str,
    settings: DeliverSettings,
    owner: str,
    on_negotiated: OnNegotiated | None = None,
) -> DeliveryCounts:
    """Send deliveries, one association for each destination.

    Every delivery of the batch gets its mark in the ledger, whatever happens to the others.

    Parameters
    ----------
    deliveries : sequence of Delivery
        Claimed by ``owner``.
    ledger : Ledger
    peers : mapping of str to Peer, or iterable of Peer
    calling_ae_title : str
    settings : DeliverSettings
    owner : str
        Holder of the leases.
    on_negotiated : callable, optional
        Told what a peer accepted and refused.
    """
    known = peers if isinstance(peers, Mapping) else {peer.name: peer for peer in peers}
    by_destination: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_destination.setdefault(delivery.destination, []).append(delivery)
    tally = {"accepted": 0, "retried": 0, "given_up": 0}

    def mark(delivery: Delivery, *, accepted: bool, retry: bool, detail: str) -> None:
        if accepted:
            ledger.delivery_done(delivery.delivery_id, owner)
        else:
            ledger.delivery_failed(delivery.delivery_id, owner, error=detail, retry=retry)
        tally["accepted" if accepted else "retried" if retry else "given_up"] += 1

    for destination, group in by_destination.items():
        peer = known.get(destination)
        waiting = {delivery.path: delivery for delivery in group}
        if peer is None:
            log.error("delivery.no_peer", peer=destination, objects=len(group))
            for delivery in group:
                mark(
                    delivery,
                    accepted=False,
                    retry=False,
                    detail=f"no peer is called {destination}",
                )
            continue
        paths = [delivery.path for delivery in group]
        on_outcome = partial(_mark_outcome, waiting, mark)
        try:
            if peer.dicomweb is not None and peer.dicomweb.store:
                from node.deliver.stow import store_objects  # loads an HTTP client

                store_objects(paths, peer=peer, settings=settings, on_outcome=on_outcome)
                continue
            send_objects(
                paths,
                peer=peer,
                calling_ae_title=calling_ae_title,
                settings=settings,
                on_outcome=on_outcome,
                on_negotiated=on_negotiated,
            )
        except (TryLater, SetupFault) as later:  # an operator may mend the setup meanwhile
            log.warning(
                "delivery.postponed", peer=destination, objects=len(waiting), reason=str(later)
            )
            for delivery in waiting.values():
                mark(delivery, accepted=False, retry=True, detail=str(later))
    return DeliveryCounts(**tally)


def _mark_outcome(
    waiting: dict[Path, Delivery], mark: Callable[..., None], outcome: SendOutcome
) -> None:
    mark(
        waiting.pop(outcome.path),
        accepted=outcome.accepted,
        retry=outcome.retry,
        detail=outcome.detail,
    )
