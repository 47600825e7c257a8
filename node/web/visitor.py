"""Who asks."""

from dataclasses import dataclass

from fastapi import Request

from node.domain.role import Role


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A user as one request shows them; without name: a stranger.

    Parameters
    ----------
    name : str
    role : Role or None
    language : str
        That the user chose; empty: as the browser asks.
    csrf_token : str
        Which a changing request of this session must repeat; empty for programs.
    session : str
        Names the session; empty for strangers and programs.
    must_change : bool
        The password has to be changed before anything else.
    has_password : bool
    """

    name: str = ""
    role: Role | None = None
    language: str = ""
    csrf_token: str = ""
    session: str = ""
    must_change: bool = False
    has_password: bool = False

    def may(self, role: str) -> bool:
        """Tell whether the user may do what a role may; for templates, too."""
        return self.role is not None and self.role.includes(Role(role))


STRANGER = Visitor()


def visitor_of(request: Request) -> Visitor:
    """Return who sent a request."""
    visitor = getattr(request.state, "visitor", STRANGER)
    assert isinstance(visitor, Visitor)
    return visitor


def address_of(request: Request) -> str:
    """Return from where a request came; behind a trusted proxy, what the proxy says."""
    return request.client.host if request.client else ""
