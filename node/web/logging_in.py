"""Logging in: the password, and how often it may be guessed."""

import threading
from dataclasses import dataclass
from datetime import timedelta

import structlog

from node.storage.accounts import AccountStore, Failures, User
from node.web.passwords import hash_password, is_outdated, verify_password

log = structlog.get_logger()

WINDOW = timedelta(minutes=15)
"""Failures count so long."""
FREE_OF_USER = 5
FREE_OF_ADDRESS = 20
"""Failures without a wait: a ward may share one address."""
FIRST_WAIT = timedelta(seconds=30)
QUEUE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of a login.

    Parameters
    ----------
    user : User or None
        Who it is, if the password was right.
    wait : timedelta
        Before which no password is looked at; zero if this one was.
    """

    user: User | None = None
    wait: timedelta = timedelta()


class Doorkeeper:
    """Verifies passwords, one at a time: each takes 64 MiB, and no two guesses pass one count.

    Parameters
    ----------
    accounts : AccountStore
    """

    def __init__(self, accounts: AccountStore) -> None:
        self._accounts = accounts
        self._turn = threading.Lock()

    def try_password(self, name: str, password: str, *, address: str) -> Attempt:
        """Return the user of a name and a password, or for how long guessing has to wait."""
        if not self._turn.acquire(timeout=QUEUE_S):
            return Attempt(wait=FIRST_WAIT)
        try:
            of_user, of_address = self._accounts.failures(name, address, within=WINDOW)
            wait = max(self._wait(of_user, FREE_OF_USER), self._wait(of_address, FREE_OF_ADDRESS))
            if wait > timedelta():
                log.warning("web.login_throttled", address=address)
                return Attempt(wait=wait)
            return Attempt(user=self._verify(name, password, address))
        finally:
            self._turn.release()

    def _verify(self, name: str, password: str, address: str) -> User | None:
        kept = self._accounts.password_hash(name)
        if not verify_password(kept, password):
            self._accounts.note_failure(name, address)
            return None
        self._accounts.forget_failures(name)
        if is_outdated(kept):
            self._accounts.rehash(name, hash_password(password, user=name))
        return self._accounts.find_user(name)

    def _wait(self, failures: Failures, free: int) -> timedelta:
        """Return the rest of a wait that doubles with each failure, up to the window."""
        if failures.count < free or failures.last_at is None:
            return timedelta()
        doublings = min(failures.count - free, 10)
        until = failures.last_at + min(FIRST_WAIT * 2**doublings, WINDOW)
        return max(until - self._accounts.now(), timedelta())
