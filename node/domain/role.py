"""What a person may do in the web page."""

from enum import StrEnum


class Role(StrEnum):
    """Each may do all that those before it may."""

    VIEWER = "viewer"  # look, and say what one thinks of a result
    OPERATOR = "operator"  # retry, cancel, send again, fetch and upload
    ADMIN = "admin"  # users and the audit trail

    def includes(self, other: "Role") -> bool:
        """Tell whether this role may do what another may."""
        order = list(Role)
        return order.index(self) >= order.index(other)
