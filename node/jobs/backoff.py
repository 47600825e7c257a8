"""How long to wait before something is tried again."""

from dataclasses import dataclass
from datetime import timedelta

from numpy.random import Generator


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential back-off with a ceiling.

    Parameters
    ----------
    first_s : float
        Wait after the first failure; every further failure doubles it.
    maximum_s : float
        Ceiling.
    """

    first_s: float
    maximum_s: float

    def delay(self, failures: int, generator: Generator | None = None) -> timedelta:
        """Return the wait after that many failures in a row.

        With a generator the wait is drawn evenly from its upper half, so that jobs which failed
        together do not come back together.
        """
        doublings = min(max(failures - 1, 0), 62)
        longest_s = min(self.first_s * 2.0**doublings, self.maximum_s)
        share = 1.0 if generator is None else generator.uniform(0.5, 1.0)
        return timedelta(seconds=longest_s * share)
