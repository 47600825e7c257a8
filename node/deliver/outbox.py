"""Carries due deliveries to their peers and writes down in the ledger what became of them."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from node.config.settings import DeliverSettings, Peer
from node.deliver.c_store import SendOutcome, send_objects
from node.deliver.calling import OnNegotiated
from node.deliver.ladder import CLASS_OF_FORM, Ladder
from node.domain.errors import SetupFault, TryLater
from node.jobs.failure import describe_bug
from node.jobs.job import Delivery
from node.jobs.outbox import DOCUMENTS

log = structlog.get_logger()


class DeliveryLedger(Protocol):
    """Where the outbox writes what became of a delivery."""

    def delivery_done(self, delivery_id: int, owner: str) -> object:
        """Mark it as accepted by the peer."""

    def delivery_failed(self, delivery_id: int, owner: str, *, error: str, retry: bool) -> object:
        """Mark an attempt as failed; without ``retry`` it is given up."""

    def delivery_postponed(self, delivery_id: int, owner: str, *, error: str) -> object:
        """Mark it as put off without an attempt."""


@dataclass(frozen=True, kw_only=True)
class DeliveryCounts:
    """How many deliveries of a batch ended how."""

    accepted: int = 0
    retried: int = 0
    given_up: int = 0
    replaced: int = 0
    postponed: int = 0


def deliver_batch(
    deliveries: Sequence[Delivery],
    *,
    ledger: DeliveryLedger,
    peers: Mapping[str, Peer] | Iterable[Peer],
    calling_ae_title: str,
    settings: DeliverSettings,
    owner: str,
    on_negotiated: OnNegotiated | None = None,
    ladder: Ladder | None = None,
) -> DeliveryCounts:
    """Send deliveries, one association for each destination.

    Every delivery of the batch gets its mark in the ledger, whatever happens to the others. Reports
    go after what they refer to, and only once that is accepted or decided.

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
    ladder : Ladder, optional
        Puts another form in the place of what a peer refuses; without it, that is given up.
    """
    known = peers if isinstance(peers, Mapping) else {peer.name: peer for peer in peers}
    by_destination: dict[str, list[Delivery]] = {}
    for delivery in deliveries:
        by_destination.setdefault(delivery.destination, []).append(delivery)
    tally: Counter[str] = Counter()
    for destination, group in by_destination.items():
        batch = _Batch(ledger=ledger, owner=owner, ladder=ladder, tally=tally)
        batch.add(group)
        peer = known.get(destination)
        if peer is None:
            log.error("delivery.no_peer", peer=destination, objects=len(group))
            batch.fail_rest(f"no peer is called {destination}", retry=False)
            continue
        try:
            batch.prepare(peer)
            _send(batch, peer, calling_ae_title, settings, on_negotiated)
        except (TryLater, SetupFault) as later:  # an operator may mend the setup meanwhile
            log.warning(
                "delivery.postponed",
                peer=destination,
                objects=len(batch.waiting),
                reason=str(later),
            )
            batch.fail_rest(str(later), retry=True)
    return DeliveryCounts(**tally)


@dataclass(kw_only=True)
class _Batch:
    """What is still to be decided of a batch for one destination."""

    ledger: DeliveryLedger
    owner: str
    ladder: Ladder | None
    tally: Counter[str]
    waiting: dict[Path, Delivery] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)
    """Jobs of which an object, that reports refer to, is to be sent again."""

    def add(self, group: Iterable[Delivery]) -> None:
        """Take deliveries in, what reports refer to first."""
        for delivery in sorted(group, key=lambda each: (each.kind in DOCUMENTS, each.delivery_id)):
            self.waiting[delivery.path] = delivery

    def prepare(self, peer: Peer) -> None:
        """Put other forms in the place of what the settings of the peer do not want."""
        for delivery in list(self.waiting.values()):
            if self.ladder is None or delivery.path not in self.waiting:
                continue
            try:
                self._drop(self.ladder.prepare(delivery, peer))
            except (TryLater, SetupFault) as later:
                self._fail(delivery, str(later), retry=True)
            except Exception as bug:  # noqa: BLE001 - one result must not keep the others here
                self._fail(delivery, self._trip(delivery, bug), retry=True)

    def is_wanted(self, path: Path) -> bool:
        """Tell whether an object is to be sent now; marks it where it is put off."""
        delivery = self.waiting.get(path)
        if delivery is None:
            return False
        if delivery.kind in DOCUMENTS and delivery.job_id in self.undecided:
            told = "waits for the objects that it refers to"
            self.ledger.delivery_postponed(delivery.delivery_id, self.owner, error=told)
            self._end(delivery, "postponed")
            return False
        return True

    def take_outcome(self, peer: Peer, outcome: SendOutcome) -> None:
        """Mark what became of an object."""
        delivery = self.waiting[outcome.path]
        if outcome.accepted:
            self.ledger.delivery_done(delivery.delivery_id, self.owner)
            self._end(delivery, "accepted")
            return
        detail, retry = outcome.detail, outcome.retry
        if outcome.refused and self.ladder is not None:
            try:
                replaced = self.ladder.fall(delivery, peer, detail)
            except TryLater as later:
                detail, retry = f"{detail}; its stand-in cannot be made now: {later}", True
            except SetupFault as fault:
                detail = f"{detail}; its stand-in cannot be made: {fault}"
            except Exception as bug:  # noqa: BLE001 - nor what the peer refused
                detail, retry = f"{detail}; {self._trip(delivery, bug)}", True
            else:
                if replaced:
                    self._drop(replaced)
                    return
        self._fail(delivery, detail, retry=retry)

    def fail_rest(self, detail: str, *, retry: bool) -> None:
        """Mark all that is not decided."""
        for delivery in list(self.waiting.values()):
            self._fail(delivery, detail, retry=retry)

    @staticmethod
    def _trip(delivery: Delivery, bug: Exception) -> str:
        told = f"its stand-in cannot be made: {describe_bug(bug)}"
        log.error("delivery.tripped", job_id=delivery.job_id, kind=delivery.kind, error=told)
        return told

    def _fail(self, delivery: Delivery, detail: str, *, retry: bool) -> None:
        self.ledger.delivery_failed(delivery.delivery_id, self.owner, error=detail, retry=retry)
        if retry and delivery.kind not in DOCUMENTS:
            self.undecided.add(delivery.job_id)
        self._end(delivery, "retried" if retry else "given_up")

    def _drop(self, delivery_ids: frozenset[int]) -> None:
        for delivery in list(self.waiting.values()):
            if delivery.delivery_id in delivery_ids:
                self._end(delivery, "replaced")

    def _end(self, delivery: Delivery, how: str) -> None:
        self.waiting.pop(delivery.path, None)
        self.tally[how] += 1


def _send(
    batch: _Batch,
    peer: Peer,
    calling_ae_title: str,
    settings: DeliverSettings,
    on_negotiated: OnNegotiated | None,
) -> None:
    paths = list(batch.waiting)
    if not paths:
        return
    on_outcome = partial(batch.take_outcome, peer)
    send = _sender_of(peer)
    if send is not None:
        send(paths, peer=peer, settings=settings, on_outcome=on_outcome, wanted=batch.is_wanted)
        return
    send_objects(
        paths,
        peer=peer,
        calling_ae_title=calling_ae_title,
        settings=settings,
        on_outcome=on_outcome,
        on_negotiated=on_negotiated,
        wanted=batch.is_wanted,
        also_propose=tuple(CLASS_OF_FORM.values()) if batch.ladder is not None else (),
    )


def _sender_of(peer: Peer) -> Callable[..., object] | None:
    """Return what sends to a peer in another way than by DIMSE; loaded where it is needed."""
    if peer.hl7 is not None:
        from node.deliver.mllp import send_messages

        return send_messages
    if peer.fhir is not None:
        from node.deliver.fhir import send_bundles

        return send_bundles
    if peer.dicomweb is not None and peer.dicomweb.store:
        from node.deliver.stow import store_objects

        return store_objects
    return None
