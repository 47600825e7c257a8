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


# fmt: off
_TABLE: tuple[tuple[str, Kind, str, str], ...] = (
    ("onconode_build", "info", "version",
     "Version of the node"),
    ("onconode_bundle", "info", "bundle version digest",
     "Model bundles that a routing rule names"),
    ("onconode_process_up", "gauge", "process",
     "1 while a process of the node lives"),
    ("onconode_database_up", "gauge", "",
     "1 while the database answers"),
    ("onconode_studies_waiting", "gauge", "",
     "Studies of which objects came and that are not assembled yet"),
    ("onconode_study_oldest_seconds", "gauge", "",
     "Since the latest object of the study that waits longest; 0: none"),
    ("onconode_jobs", "gauge", "state",
     "Jobs in the ledger"),
    ("onconode_job_oldest_seconds", "gauge", "state",
     "Age of the oldest unfinished job in a state; 0: none"),
    ("onconode_queue_jobs", "gauge", "priority",
     "Jobs that wait for a worker"),
    ("onconode_queue_oldest_seconds", "gauge", "priority",
     "Age of the oldest job that waits for a worker; 0: none"),
    ("onconode_deliveries", "gauge", "peer state",
     "Objects to be sent, or sent, as long as the ledger keeps them"),
    ("onconode_delivery_oldest_seconds", "gauge", "peer",
     "Since the results that wait longest for a peer were made; 0: none wait"),
    ("onconode_hop_seconds", "histogram", "hop",
     ("Time of a study from one hop to the next: assembled after the last object, processed "
     "after assembled, accepted after processed, committed after accepted")),
    ("onconode_instances_received", "counter", "ae_title",
     "Objects stored, since the observer started"),
    ("onconode_instances_refused", "counter", "ae_title",
     "Objects refused and quarantined, since the observer started"),
    ("onconode_instances_sent", "counter", "peer",
     "Results that a peer accepted, since the observer started"),
    ("onconode_instances_send_failed", "counter", "peer",
     "Results whose sending was given up, since the observer started"),
    ("onconode_instances_committed", "counter", "peer",
     "Results that a peer committed to keep, or was seen to hold, since the observer started"),
    ("onconode_source_silence_seconds", "gauge", "ae_title",
     "Since the last object of a sender"),
    ("onconode_associations_open", "gauge", "",
     "Inbound associations now open"),
    ("onconode_associations", "counter", "result",
     ("Inbound associations, since the observer started: accepted, rejected, or failed before "
     "one was asked for")),
    ("onconode_disk_free_bytes", "gauge", "",
     "What the node may still write on the disk of its data"),
    ("onconode_disk_mark_bytes", "gauge", "mark",
     "Free space below which studies (soft) or objects (hard) are refused"),
    ("onconode_disk_used_bytes", "gauge", "use",
     "What the node's files take, by class of use"),
    ("onconode_deletions", "counter", "kind reason",
     "Things removed to make room or after keep_days"),
    ("onconode_certificate_expires_seconds", "gauge", "purpose",
     "Until a certificate that the configuration names ends; below 0: it has ended"),
    ("onconode_audit_records", "gauge", "",
     "Number of the last record of the audit trail; it never falls"),
    ("onconode_audit_unsent_bytes", "gauge", "",
     "Audit records that the syslog repository has not got yet"),
)
# fmt: on
"""Name, kind, labels with spaces between them, and what it means."""

METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        name: Metric(kind=kind, help=meaning, labels=tuple(labels.split()))
        for name, kind, labels, meaning in _TABLE
    }
)


def known_sample_names() -> frozenset[str]:
    """Return every name that a rule of Prometheus may use."""
    return frozenset(
        sample for name, metric in METRICS.items() for sample in metric.sample_names(name)
    )
