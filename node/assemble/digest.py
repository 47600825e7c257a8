"""Content of a series in one short text, to tell whether it changed."""

import hashlib
from collections.abc import Iterable

from node.domain.study import InstanceRef, Series


def content_digest(series: Series) -> str:
    """SHA-256 over SOP Instance UIDs and content hashes; the order of instances is irrelevant."""
    return digest_instances(series.instances)


def digest_instances(instances: Iterable[InstanceRef]) -> str:
    """Return the same of any instances, such as all those of a study."""
    lines = sorted(f"{item.sop_instance_uid} {item.sha256}\n" for item in instances)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
