"""One look at the node for all who watch it, however many they are."""

import threading
import time

from node.web.overview import Overview, Seldom, look_at_node, look_seldom
from node.web.services import Services

SELDOM_EVERY_S = 60.0
OFTEN_EVERY_S = 1.0
REST = 4
"""A look that takes long is repeated seldom: so many times its own duration lies between."""


class Watch:
    """Looks at the node when somebody asks, and not more often than is good for it.

    Parameters
    ----------
    services : Services
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lock = threading.Lock()
        self._seen: Overview | None = None
        self._not_before_s = 0.0
        self._seldom: Seldom | None = None
        self._seldom_at_s = 0.0
        self._reader: threading.Thread | None = None

    def look(self) -> Overview:
        """Return the node as it is, or was a moment ago."""
        with self._lock:
            if self._seen is None or time.monotonic() >= self._not_before_s:
                seldom = self._look_seldom()
                began_s = time.monotonic()
                self._seen = look_at_node(self._services, seldom)
                ended_s = time.monotonic()
                self._not_before_s = ended_s + max(OFTEN_EVERY_S, REST * (ended_s - began_s))
            return self._seen

    def _look_seldom(self) -> Seldom:
        """Return what was read of late; all but the first reading goes on beside the looks."""
        if self._seldom is None:
            self._read_seldom()
        elif time.monotonic() >= self._seldom_at_s + SELDOM_EVERY_S and not self._is_reading():
            self._reader = threading.Thread(target=self._read_seldom, name="seldom", daemon=True)
            self._reader.start()
        assert self._seldom is not None
        return self._seldom

    def _is_reading(self) -> bool:
        return self._reader is not None and self._reader.is_alive()

    def _read_seldom(self) -> None:
        self._seldom = look_seldom(self._services)
        self._seldom_at_s = time.monotonic()
