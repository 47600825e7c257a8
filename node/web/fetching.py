"""Fetches that run: a C-MOVE of a large study takes minutes, too long to wait for a page."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from node.config.settings import Peer
from node.domain.errors import OncoNodeError
from node.query.found import Fetched, Wanted

log = structlog.get_logger()

AT_ONCE = 2
REMEMBERED = 20


@dataclass(frozen=True, kw_only=True)
class Errand:
    """A fetch, and what became of it.

    Parameters
    ----------
    number : int
    peer, study_instance_uid, user : str
        From where, what, and who wants it.
    begun_at : datetime
    state : str
        ``waiting``, ``running``, ``done`` or ``failed``.
    completed, failed : int
        Objects.
    error : str
    """

    number: int
    peer: str
    study_instance_uid: str
    user: str
    begun_at: datetime
    state: str = "waiting"
    completed: int = 0
    failed: int = 0
    error: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether it is not over."""
        return self.state in ("waiting", "running")


class FetchDesk:
    """Runs fetches in threads of its own and remembers the latest; lost with the process.

    Parameters
    ----------
    fetch : callable
        Takes the peer, what is wanted, and whether by C-GET.
    now : callable
        Clock; aware UTC.
    """

    def __init__(
        self, fetch: Callable[[Peer, Wanted, bool], Fetched], now: Callable[[], datetime]
    ) -> None:
        self._fetch = fetch
        self._now = now
        self._lock = threading.Lock()
        self._errands: deque[Errand] = deque(maxlen=REMEMBERED)
        self._count = 0
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetch")

    def begin(self, peer: Peer, wanted: Wanted, *, by_get: bool, user: str) -> Errand:
        """Begin a fetch; one that runs for the same study and peer is not begun again."""
        with self._lock:
            for errand in self._errands:
                same = (errand.peer, errand.study_instance_uid)
                if errand.goes_on and same == (peer.name, wanted.study_instance_uid):
                    return errand
            self._count += 1
            errand = Errand(
                number=self._count,
                peer=peer.name,
                study_instance_uid=wanted.study_instance_uid,
                user=user,
                begun_at=self._now(),
            )
            self._errands.appendleft(errand)
        self._threads.submit(self._run, errand.number, peer, wanted, by_get)
        return errand

    def list(self) -> tuple[Errand, ...]:
        """Return the latest fetches, the latest first."""
        with self._lock:
            return tuple(self._errands)

    def _run(self, number: int, peer: Peer, wanted: Wanted, by_get: bool) -> None:
        self._change(number, state="running")
        try:
            fetched = self._fetch(peer, wanted, by_get)
        except OncoNodeError as error:
            self._change(number, state="failed", error=str(error))
        except Exception as error:  # boundary: the page must tell that it ended
            log.exception("fetch.bug", peer=peer.name)
            self._change(number, state="failed", error=type(error).__name__)
        else:
            nothing = not fetched.completed
            self._change(
                number,
                state="failed" if nothing or fetched.failed else "done",
                completed=fetched.completed,
                failed=fetched.failed,
            )

    def _change(self, number: int, **changes: object) -> None:
        with self._lock:
            for place, errand in enumerate(self._errands):
                if errand.number == number:
                    self._errands[place] = replace(errand, **changes)  # type: ignore[arg-type]  # fields of an Errand
