"""Content of one or several series in one short text, to tell whether it changed."""

import hashlib
from collections.abc import Iterable, Sequence

from node.domain.study import InstanceRef, Series


def content_digest(series: Series) -> str:
    """SHA-256 over SOP Instance UIDs and content hashes; the order of instances is irrelevant.

    Of a series that holds several volumes it also tells which was taken: those of one multi-frame
    object have the same instances.
    """
    instances = digest_instances(series.instances)
    if series.part is None:
        return instances
    labels = "".join(f"{name} {value}\n" for name, value in sorted(series.part.labels.items()))
    return hashlib.sha256(f"{instances}\n{labels}".encode()).hexdigest()


def digest_roles(series: Sequence[Series]) -> str:
    """Return the same of the series of several roles, whose order counts."""
    if len(series) == 1:
        return content_digest(series[0])
    return hashlib.sha256("\n".join(map(content_digest, series)).encode()).hexdigest()


def digest_case(series: Sequence[Series], pointing: Sequence[InstanceRef] = ()) -> str:
    """Return the same of the series of a case and the objects that point at its lesions."""
    images = digest_roles(series)
    if not pointing:
        return images
    return hashlib.sha256(f"{images}\n{digest_instances(pointing)}".encode()).hexdigest()


def digest_instances(instances: Iterable[InstanceRef]) -> str:
    """Return the same of any instances, such as all those of a study."""
    lines = sorted(f"{item.sop_instance_uid} {item.sha256}\n" for item in instances)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
