"""Who looks at which study: going through its slices is told once, and not never."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

LASTS_S = 3600.0
MAXIMUM_LOOKS = 10_000


class Looks:
    """Looks that the audit trail knows of; safe to be used by several threads.

    Parameters
    ----------
    now_s : callable
        Monotonic clock.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._told: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note(self, user: str, study_instance_uid: str) -> None:
        """Note that a look was told."""
        with self._lock:
            self._told[user, study_instance_uid] = self._now_s()
            self._told.move_to_end((user, study_instance_uid))
            while len(self._told) > MAXIMUM_LOOKS:
                self._told.popitem(last=False)

    def goes_on(self, user: str, study_instance_uid: str) -> bool:
        """Whether a look was told within ``LASTS_S``."""
        with self._lock:
            told_at_s = self._told.get((user, study_instance_uid))
        return told_at_s is not None and self._now_s() < told_at_s + LASTS_S
