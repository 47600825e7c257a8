"""Associations that finish an object at the same time share one commit.

To synchronise folder and database costs milliseconds, whether for one object or for many. The
first thread that comes commits at once; what arrives meanwhile waits and is committed together
by the next. Nobody waits for a timer, and nobody is answered before the own object is safe.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class _Ticket(Generic[Item, Outcome]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.outcomes: list[Outcome] = []
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.outcomes) or self.error is not None


class GroupCommit(Generic[Item, Outcome]):
    """Commit items of many threads in batches.

    Parameters
    ----------
    commit : callable
        Takes a batch and returns the outcome of each item, in order; called by one thread at a
        time.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Outcome]]) -> None:
        self._commit = commit
        self._waiting: list[_Ticket[Item, Outcome]] = []
        self._waiting_lock = threading.Lock()
        self._commit_lock = threading.Lock()

    def submit(self, item: Item) -> Outcome:
        """Return the outcome of an item once it is committed.

        Raises
        ------
        Exception
            What ``commit`` raised; every item of the batch then fails alike.
        """
        ticket: _Ticket[Item, Outcome] = _Ticket(item)
        with self._waiting_lock:
            self._waiting.append(ticket)
        with self._commit_lock:
            if not ticket.is_done:
                self._commit_waiting()
        if ticket.error is not None:
            raise ticket.error
        return ticket.outcomes[0]

    def _commit_waiting(self) -> None:
        with self._waiting_lock:
            batch, self._waiting = self._waiting, []
        try:
            outcomes = self._commit([ticket.item for ticket in batch])
        except Exception as error:  # noqa: BLE001 - handed to every thread whose item it was
            for ticket in batch:
                ticket.error = error
            return
        for ticket, outcome in zip(batch, outcomes, strict=True):
            ticket.outcomes.append(outcome)
