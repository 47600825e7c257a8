"""Which roles the bundle of a rule has, for the rooms that only know its name."""

from node.domain.errors import SetupFault
from node.registry.manifest import RoleEntry
from node.registry.store import ModelStore


def roles_of(models: ModelStore, bundle: str) -> tuple[RoleEntry, ...]:
    """Roles of a bundle; none of one that is missing or damaged, which its first use will tell."""
    try:
        return models.manifest(bundle).roles
    except SetupFault:
        return ()
