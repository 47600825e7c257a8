"""Associations on their way to the ledger, in a thread of its own: nobody waits for it.

A record is put down when an association is accepted and when it ends. Records that come shortly
after each other are written together, and of one association only the latest, so that a sender
with an association for each object costs hardly more than one that keeps its own.
"""

import threading
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from node.domain.errors import TryLater
from node.storage.associations import AssociationRecord, AssociationStore

log = structlog.get_logger()

GATHER_S = 0.5
MAXIMUM_WAITING = 10_000
"""While the database does not answer; the oldest are dropped then."""

Observer = Callable[[AssociationRecord], object]


class AssociationLog:
    """Takes records without waiting and writes them a little later.

    Parameters
    ----------
    store : AssociationStore
    listener : str
        Name of this node among those that share the database.
    observers : sequence of callable
        Called with each record before it is written, in the thread of the log: of an association
        that is accepted twice, when it opens and when it ends.
    """

    def __init__(
        self, store: AssociationStore, *, listener: str, observers: Sequence[Observer] = ()
    ) -> None:
        self.listener = listener
        self._store = store
        self._observers = tuple(observers)
        self._lock = threading.Lock()
        self._waiting: dict[str, AssociationRecord] = {}
        self._unseen: list[AssociationRecord] = []
        self._has_work = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Close what an earlier run left open, and begin to write."""
        try:
            self._store.close_open(self.listener)
        except (SQLAlchemyError, TryLater) as error:
            log.warning("association_log.unavailable", error=type(error).__name__)
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="association-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        self._stopped.set()
        self._has_work.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def note(self, record: AssociationRecord) -> None:
        """Take a record; the latest of an association counts."""
        with self._lock:
            self._waiting.pop(record.token, None)  # put at the end again: the order is of time
            self._waiting[record.token] = record
            if self._observers:
                self._unseen.append(record)
            while len(self._waiting) > MAXIMUM_WAITING:
                self._waiting.pop(next(iter(self._waiting)))
        self._has_work.set()

    def flush(self) -> None:
        """Show and write what waits."""
        with self._lock:
            unseen, self._unseen = self._unseen, []
            batch, self._waiting = self._waiting, {}
        for record in unseen:
            self._show(record)
        try:
            self._store.record_all(list(batch.values()))
        except (SQLAlchemyError, TryLater) as error:
            log.warning("association_log.postponed", error=type(error).__name__, records=len(batch))
            with self._lock:  # what came meanwhile is newer
                self._waiting = {**batch, **self._waiting}
                while len(self._waiting) > MAXIMUM_WAITING:
                    self._waiting.pop(next(iter(self._waiting)))

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._has_work.wait()
            self._stopped.wait(GATHER_S)
            self._has_work.clear()
            self.flush()
            if self._waiting:  # the database did not answer: try again, in a while
                self._has_work.set()
        self.flush()

    def _show(self, record: AssociationRecord) -> None:
        for observer in self._observers:
            try:
                observer(record)
            except Exception:  # boundary: what others do with a record must not stop the log
                log.exception("association_log.observer_failed")
