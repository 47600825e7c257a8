"""Content of a series in one short text, to tell whether it changed."""

import hashlib

from node.domain.study import Series


def content_digest(series: Series) -> str:
    """SHA-256 over SOP Instance UIDs and content hashes; the order of instances is irrelevant."""
    lines = sorted(f"{item.sop_instance_uid} {item.sha256}\n" for item in series.instances)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
