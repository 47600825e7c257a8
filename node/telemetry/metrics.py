"""Every metric of the node: its name, what it means, its labels.

Labels never hold a UID or any text of a patient. AE titles of strangers come from the network:
a metric holds at most ``MAXIMUM_LABEL_VALUES`` of them, all further ones count as ``other``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["gauge", "counter", "histogram", "info"]

MAXIMUM_LABEL_VALUES = 200
OTHER = "other"

HOP_BUCKETS_S = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400)


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric as Prometheus knows it.

    Parameters
    ----------
    kind : str
        A counter has ``_total`` behind its name when it is read, an info ``_info``.
    help : str
    labels : tuple of str
    """

    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    def sample_names(self, name: str) -> tuple[str, ...]:
        """Return the names under which Prometheus stores it."""
        suffixes = {
            "gauge": ("",),
            "counter": ("_total",),
            "histogram": ("_bucket", "_sum", "_count"),
            "info": ("_info",),
        }
        return tuple(name + suffix for suffix in suffixes[self.kind])


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "onconode_build": Metric(kind="info", help="Version of the node", labels=("version",)),
        "onconode_bundle": Metric(
            kind="info",
            help="Model bundles that a routing rule names",
            labels=("bundle", "version", "digest"),
        ),
        "onconode_process_up": Metric(
            kind="gauge", help="1 while a process of the node lives", labels=("process",)
        ),
        "onconode_database_up": Metric(kind="gauge", help="1 while the database answers"),
        "onconode_studies_waiting": Metric(
            kind="gauge", help="Studies of which objects came and that are not assembled yet"
        ),
        "onconode_study_oldest_seconds": Metric(
            kind="gauge", help="Since the latest object of the study that waits longest; 0: none"
        ),
        "onconode_jobs": Metric(kind="gauge", help="Jobs in the ledger", labels=("state",)),
        "onconode_job_oldest_seconds": Metric(
            kind="gauge",
            help="Age of the oldest unfinished job in a state; 0: none",
            labels=("state",),
        ),
        "onconode_queue_jobs": Metric(
            kind="gauge", help="Jobs that wait for a worker", labels=("priority",)
        ),
        "onconode_queue_oldest_seconds": Metric(
            kind="gauge",
            help="Age of the oldest job that waits for a worker; 0: none",
            labels=("priority",),
        ),
        "onconode_deliveries": Metric(
            kind="gauge",
            help="Objects to be sent, or sent, as long as the ledger keeps them",
            labels=("peer", "state"),
        ),
        "onconode_delivery_oldest_seconds": Metric(
            kind="gauge",
            help="Since the results that wait longest for a peer were made; 0: none wait",
            labels=("peer",),
        ),
        "onconode_hop_seconds": Metric(
            kind="histogram",
            help="Time of a study from one hop to the next: assembled after the last object, "
            "processed after assembled, accepted after processed, committed after accepted",
            labels=("hop",),
        ),
        "onconode_instances_received": Metric(
            kind="counter", help="Objects stored, since the observer started", labels=("ae_title",)
        ),
        "onconode_instances_refused": Metric(
            kind="counter",
            help="Objects refused and quarantined, since the observer started",
            labels=("ae_title",),
        ),
        "onconode_instances_sent": Metric(
            kind="counter",
            help="Results that a peer accepted, since the observer started",
            labels=("peer",),
        ),
        "onconode_instances_send_failed": Metric(
            kind="counter",
            help="Results whose sending was given up, since the observer started",
            labels=("peer",),
        ),
        "onconode_instances_committed": Metric(
            kind="counter",
            help="Results that a peer committed to keep, or was seen to hold, since the observer "
            "started",
            labels=("peer",),
        ),
        "onconode_source_silence_seconds": Metric(
            kind="gauge", help="Since the last object of a sender", labels=("ae_title",)
        ),
        "onconode_associations_open": Metric(kind="gauge", help="Inbound associations now open"),
        "onconode_associations": Metric(
            kind="counter",
            help="Inbound associations, since the observer started: accepted, rejected, or failed "
            "before one was asked for",
            labels=("result",),
        ),
        "onconode_disk_free_bytes": Metric(
            kind="gauge", help="What the node may still write on the disk of its data"
        ),
        "onconode_disk_mark_bytes": Metric(
            kind="gauge",
            help="Free space below which studies (soft) or objects (hard) are refused",
            labels=("mark",),
        ),
        "onconode_disk_used_bytes": Metric(
            kind="gauge", help="What the node's files take, by class of use", labels=("use",)
        ),
        "onconode_deletions": Metric(
            kind="counter",
            help="Things removed to make room or after keep_days",
            labels=("kind", "reason"),
        ),
        "onconode_certificate_expires_seconds": Metric(
            kind="gauge",
            help="Until a certificate that the configuration names ends; below 0: it has ended",
            labels=("purpose",),
        ),
        "onconode_audit_records": Metric(
            kind="gauge", help="Number of the last record of the audit trail; it never falls"
        ),
        "onconode_audit_unsent_bytes": Metric(
            kind="gauge", help="Audit records that the syslog repository has not got yet"
        ),
    }
)


def known_sample_names() -> frozenset[str]:
    """Return every name that a rule of Prometheus may use."""
    return frozenset(
        sample for name, metric in METRICS.items() for sample in metric.sample_names(name)
    )
