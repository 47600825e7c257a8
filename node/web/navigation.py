"""Entries of the navigation."""

from dataclasses import dataclass

from node.domain.role import Role


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A page that the navigation leads to.

    Parameters
    ----------
    path : str
    title : str
        English; the base template translates it.
    role : Role
        Least role that sees it.
    """

    path: str
    title: str
    role: Role = Role.VIEWER


def mark(text: str) -> str:
    """Return a text as it is: so marked, it is found for translation and translated later."""
    return text
