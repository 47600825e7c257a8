"""Passwords: argon2id, and which are good enough.

References
----------
RFC 9106 (argon2; the second recommended choice of parameters), NIST SP 800-63B section 5.1.1.2
(length counts, rules of composition do not).
"""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 12
MAXIMUM_LENGTH = 256
_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none looks like another

_hasher = PasswordHasher()
_DUMMY = _hasher.hash(secrets.token_urlsafe())
"""Verified for users that do not exist, so that they take as long as those that do."""


class WeakPassword(ValueError):
    """The password is too short, too long, or the user's name."""


def hash_password(password: str, *, user: str) -> str:
    """Return what is kept of a password.

    Raises
    ------
    WeakPassword
    """
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise WeakPassword(f"a password has {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters")
    if user.casefold() in password.casefold() and len(password) < len(user) + MINIMUM_LENGTH:
        raise WeakPassword("a password is not made of the name of its user")
    if len(set(password)) < MINIMUM_LENGTH // 2:
        raise WeakPassword("a password has at least six different characters")
    return _hasher.hash(password)


def verify_password(kept: str, password: str) -> bool:
    """Tell whether a password is the one that is kept; an empty hash takes as long, and never is.

    A password of any length may be tried, but beyond the maximum it is not even hashed.
    """
    if len(password) > MAXIMUM_LENGTH:
        return False
    try:
        _hasher.verify(kept or _DUMMY, password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


def is_outdated(kept: str) -> bool:
    """Tell whether a hash was made by weaker parameters than those of today."""
    return _hasher.check_needs_rehash(kept)


def make_password() -> str:
    """Return a random password of 100 bits that people can type."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(6)) for _ in range(3))
