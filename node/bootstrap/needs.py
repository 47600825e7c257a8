"""What a job needs, before it runs: how soon it is wanted, and how much memory."""

from collections.abc import Sequence
from math import prod

from node.config.settings import RoutingRule, Settings
from node.domain.errors import SetupFault
from node.domain.priority import Priority
from node.domain.study import Series
from node.registry.manifest import MemoryEntry
from node.registry.store import ModelStore

VOXEL_BYTES = 4
MB = 2**20


def priority_of(settings: Settings, rule: RoutingRule, calling_ae_title: str) -> Priority:
    """Return the priority of the rule, else that of the sender in ``peers.yaml``, else routine."""
    sender = calling_ae_title.strip()
    of_peers = (peer.priority for peer in settings.peers if peer.ae_title == sender)
    told = next((known for known in (rule.priority, *of_peers) if known), Priority.ROUTINE)
    return Priority(told)


def memory_of(models: ModelStore, bundle: str, series: Sequence[Series]) -> int:
    """Estimate the peak memory of a worker that processes some series, in bytes.

    Parameters
    ----------
    models : ModelStore
    bundle : str
    series : sequence of Series
        Checked, of every role.
    """
    try:
        entry = models.manifest(bundle).memory_needed
    except SetupFault:
        entry = MemoryEntry()  # its first use will tell
    volumes = sum(prod(each.geometry.shape) for each in series if each.geometry is not None)
    return int(entry.floor_mb * MB + entry.factor * volumes * VOXEL_BYTES)
