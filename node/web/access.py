"""Who may do what: one table."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from node.domain.role import Role

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Access:
    """What a path asks of a visitor.

    Parameters
    ----------
    path : str
        With ``*`` for any text.
    read, change : Role or None
        Least role for GET, and for everything else; None: also strangers.
    """

    path: str
    read: Role | None
    change: Role | None


ACCESS: tuple[Access, ...] = (
    Access("/login", None, None),
    Access("/login/*", None, None),
    Access("/static/*", None, None),
    Access("/health", None, Role.ADMIN),
    Access("/ready", None, Role.ADMIN),
    Access("/logout", Role.VIEWER, Role.VIEWER),
    Access("/account*", Role.VIEWER, Role.VIEWER),
    Access(
        "/studies/*/feedback", Role.VIEWER, Role.VIEWER
    ),  # what a radiologist thinks of a result
    Access("/query*", Role.OPERATOR, Role.OPERATOR),  # it asks archives about patients
    Access("/upload*", Role.OPERATOR, Role.OPERATOR),
    Access("/users*", Role.ADMIN, Role.ADMIN),
    Access("/audit*", Role.ADMIN, Role.ADMIN),
    Access("*", Role.VIEWER, Role.OPERATOR),
)
"""The first line that fits decides."""


def needed_role(method: str, path: str) -> Role | None:
    """Return the least role for a request; None if strangers may."""
    line = next(line for line in ACCESS if fnmatchcase(path, line.path))
    return line.read if method in SAFE_METHODS else line.change
