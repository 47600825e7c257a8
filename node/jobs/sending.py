"""Batches of deliveries, as the dispatcher sees them: one at a time for each destination."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from node.jobs.clocks import survive
from node.jobs.job import Delivery
from node.jobs.outbox import Outbox

Deliver = Callable[[list[Delivery]], object]
"""Sends a batch for one destination and records every outcome in the outbox."""


@dataclass(frozen=True, kw_only=True)
class _Batch:
    future: Future[None]
    delivery_ids: tuple[int, ...]


class SendingBatches:
    """Batches under way in threads, so that a dead destination holds up no other.

    Parameters
    ----------
    outbox : Outbox
    deliver : callable
    owner : str
        Claims the deliveries; ``deliver`` records the outcomes under the same name.
    threads : int
        Destinations served at a time.
    batch_size : int
        Deliveries in one batch.
    """

    def __init__(
        self,
        outbox: Outbox,
        deliver: Deliver,
        *,
        owner: str,
        threads: int = 8,
        batch_size: int = 100,
    ) -> None:
        self._outbox = outbox
        self._deliver = deliver
        self._owner = owner
        self._threads = threads
        self._batch_size = batch_size
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="deliver")
        self._under_way: dict[str, _Batch] = {}

    def tick(self) -> None:
        """Start a batch for every destination that has something due and none under way."""
        under_way = {
            destination: batch
            for destination, batch in self._under_way.items()
            if not batch.future.done()
        }
        # before anything may fail: what is not in this book is not renewed, and sent twice
        self._under_way = under_way
        for destination in self._outbox.due_destinations():
            if destination in under_way or len(under_way) >= self._threads:
                continue
            deliveries = self._outbox.claim_deliveries(
                self._owner, limit=self._batch_size, destination=destination
            )
            if deliveries:
                send = partial(self._deliver, deliveries)
                under_way[destination] = _Batch(
                    future=self._pool.submit(survive, f"deliver to {destination}", send),
                    delivery_ids=tuple(delivery.delivery_id for delivery in deliveries),
                )

    def renew(self) -> None:
        """Prolong the leases of the batches under way."""
        batches = list(self._under_way.values())
        ids = [one for batch in batches if not batch.future.done() for one in batch.delivery_ids]
        if ids:
            self._outbox.renew_deliveries(self._owner, ids)

    def release(self) -> int:
        """Make due at once what an earlier process of this owner left leased."""
        return self._outbox.release_deliveries(self._owner)

    def close(self, *, timeout_s: float) -> bool:
        """Wait for the batches under way; tell whether all ended in time."""
        self._pool.shutdown(wait=False)
        return not wait([batch.future for batch in self._under_way.values()], timeout_s).not_done
