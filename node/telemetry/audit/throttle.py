"""How often the same is told: once a while, and then how often it was."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

MAXIMUM_KINDS = 256
"""Kinds that are told apart; all further ones share one."""


@dataclass(kw_only=True)
class _Kind:
    not_before_s: float = float("-inf")
    untold: int = 0


class Throttle:
    """Admits the first event of a kind, and again one after a while.

    Parameters
    ----------
    every_s : float
        Time from one that is admitted to the next.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(self, *, every_s: float, clock: Callable[[], float]) -> None:
        self._every_s = every_s
        self._clock = clock
        self._kinds: dict[Hashable, _Kind] = {}

    def admit(self, kind: Hashable) -> int | None:
        """Return how many of a kind were not told since the last one; None: do not tell this."""
        known, now = self._kind(kind), self._clock()
        if now < known.not_before_s:
            known.untold += 1
            return None
        untold, known.untold, known.not_before_s = known.untold, 0, now + self._every_s
        return untold

    def _kind(self, kind: Hashable) -> _Kind:
        if kind not in self._kinds and len(self._kinds) >= MAXIMUM_KINDS:
            now = self._clock()
            self._kinds = {k: each for k, each in self._kinds.items() if each.not_before_s > now}
        if kind not in self._kinds and len(self._kinds) >= MAXIMUM_KINDS:
            kind = None
        return self._kinds.setdefault(kind, _Kind())
