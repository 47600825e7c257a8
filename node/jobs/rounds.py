"""One thing after another for each destination, and no destination holds up another."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from node.jobs.clocks import survive


class DestinationRounds:
    """Calls for destinations that have something due, at most one at a time for each.

    Parameters
    ----------
    name : str
        For the log.
    due : callable
        Returns the destinations for which something is due.
    call : callable
        Takes a destination.
    threads : int
        Destinations served at a time.
    """

    def __init__(
        self,
        name: str,
        *,
        due: Callable[[], Iterable[str]],
        call: Callable[[str], object],
        threads: int = 4,
    ) -> None:
        self.name = name
        self._due = due
        self._call = call
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._under_way: dict[str, Future[None]] = {}

    def tick(self) -> None:
        """Start a call for each destination that has something due and none under way."""
        self._under_way = {
            destination: future
            for destination, future in self._under_way.items()
            if not future.done()
        }
        for destination in self._due():
            if destination not in self._under_way:
                task = partial(self._call, destination)
                name = f"{self.name} {destination}"
                self._under_way[destination] = self._pool.submit(survive, name, task)

    def close(self, *, timeout_s: float) -> bool:
        """Wait for the calls under way; tell whether all ended in time."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        return not wait(self._under_way.values(), timeout_s).not_done
