"""The metrics of a node, computed when they are asked for."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from node import __version__
from node.bootstrap.certificates import list_certificates
from node.bootstrap.parts import Parts
from node.bootstrap.purging import disk_room
from node.config.settings import Settings
from node.domain.errors import OncoNodeError, SetupFault
from node.jobs.figures import LedgerFollower, LedgerState, Totals, measure_ledger
from node.registry.bundle import MANIFEST, hash_file
from node.storage.clock import utc_now
from node.storage.removal import count_deletions
from node.storage.usage import measure_usage
from node.telemetry.audit.chain import read_head
from node.telemetry.audit.trail import FOLDER
from node.telemetry.metrics import HOP_BUCKETS_S, MAXIMUM_LABEL_VALUES, METRICS, OTHER

SLOW_EVERY_S = 60.0


@dataclass(frozen=True, kw_only=True)
class _Slow:
    """What takes long to read and changes seldom."""

    read_at: float
    usage: dict[str, int]
    bundles: list[dict[str, str]]
    certificates: dict[tuple[str, ...], float]


class NodeCollector(Collector):
    """What Prometheus reads.

    Parameters
    ----------
    parts : Parts
    unsent_bytes : callable, optional
        Audit records that wait for the syslog repository.
    """

    def __init__(self, parts: Parts, *, unsent_bytes: Callable[[], int] | None = None) -> None:
        self._parts = parts
        self._unsent_bytes = unsent_bytes
        self._lock = threading.Lock()
        self._follower: LedgerFollower | None = None
        self._hops: dict[str, list[int]] = {}
        self._hop_sums: dict[str, float] = {}
        self._slow: _Slow | None = None

    def collect(self) -> Iterable[Family]:
        """Yield every metric; those of a database that does not answer are left out."""
        with self._lock:
            families = [*self._without_database()]
            try:
                families += self._of_ledger()
                up = 1.0
            except (SQLAlchemyError, OncoNodeError):
                up = 0.0
            families.append(gauge("onconode_database_up", {(): up}))
            return families

    def describe(self) -> Iterable[Family]:
        """Nothing: to be registered must not ask the database."""
        return ()

    def follow(self) -> None:
        """Begin to count what is new in the ledger, if its database answers."""
        with self._lock:
            try:
                self._follow()
            except (SQLAlchemyError, OncoNodeError):
                return  # the first scrape tries again

    def _follow(self) -> LedgerFollower:
        if self._follower is None:
            self._follower = LedgerFollower(self._parts.engine)
        return self._follower

    def _without_database(self) -> Iterator[Family]:
        room = disk_room(self._parts)
        yield info("onconode_build", [{"version": __version__}])
        slow = self._read_slow()
        yield info("onconode_bundle", slow.bundles)
        yield gauge("onconode_certificate_expires_seconds", slow.certificates)
        living = living_processes(self._parts)
        yield gauge(
            "onconode_process_up", _by_one({name: float(up) for name, up in living.items()})
        )
        yield gauge("onconode_disk_free_bytes", {(): room.free_bytes()})
        marks: Samples = {("soft",): room.marks.soft_bytes, ("hard",): room.marks.hard_bytes}
        yield gauge("onconode_disk_mark_bytes", marks)
        yield gauge("onconode_disk_used_bytes", _by_one(slow.usage))
        yield gauge("onconode_audit_records", {(): _audit_records(self._parts)})
        if self._unsent_bytes is not None:
            yield gauge("onconode_audit_unsent_bytes", {(): self._unsent_bytes()})

    def _read_slow(self) -> "_Slow":
        """Walk through folders and read files now and then only: there may be a million files."""
        now = time.monotonic()
        if self._slow is None or now - self._slow.read_at > SLOW_EVERY_S:
            self._slow = _Slow(
                read_at=now,
                usage=measure_usage(self._parts.spool),
                bundles=list(_bundles(self._parts)),
                certificates=dict(_certificates(self._parts)),
            )
        return self._slow

    def _of_ledger(self) -> list[Family]:
        follower = self._follow()
        state = measure_ledger(self._parts.engine)
        totals = follower.look()
        self._count_hops(totals)
        return [
            *_of_state(state),
            *_of_totals(totals, known={peer.ae_title for peer in self._parts.settings.peers}),
            self._hop_histogram(),
            counter(
                "onconode_deletions",
                {key: n for key, (n, _) in count_deletions(self._parts.engine).items()},
            ),
        ]

    def _count_hops(self, totals: Totals) -> None:
        for hop, seconds in totals.hops:
            counts = self._hops.setdefault(hop, [0] * (len(HOP_BUCKETS_S) + 1))
            for i, bound in enumerate((*HOP_BUCKETS_S, float("inf"))):
                counts[i] += seconds <= bound
            self._hop_sums[hop] = self._hop_sums.get(hop, 0.0) + seconds

    def _hop_histogram(self) -> Family:
        family = HistogramMetricFamily(
            "onconode_hop_seconds", METRICS["onconode_hop_seconds"].help, labels=["hop"]
        )
        bounds = [*(str(float(bound)) for bound in HOP_BUCKETS_S), "+Inf"]
        for hop, counts in self._hops.items():
            buckets = [(bound, float(n)) for bound, n in zip(bounds, counts, strict=True)]
            family.add_metric([hop], buckets, self._hop_sums[hop])
        return family


Samples = Mapping[tuple[str, ...], float]


def gauge(name: str, samples: Samples) -> Family:
    """Return a gauge of ``METRICS`` with its samples."""
    metric = METRICS[name]
    family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def counter(name: str, samples: Samples) -> Family:
    """Return a counter of ``METRICS`` with its samples."""
    metric = METRICS[name]
    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
    for labels, value in samples.items():
        family.add_metric(labels, value)
    return family


def info(name: str, values: list[dict[str, str]]) -> Family:
    """Return an info metric of ``METRICS``."""
    family = InfoMetricFamily(name, METRICS[name].help, labels=[])
    for value in values:
        family.add_metric([], value)
    return family


def limit_labels(counts: Mapping[str, float], *, known: Iterable[str]) -> dict[str, float]:
    """Keep known names and the largest of the others; what is beyond the bound is one ``other``."""
    if len(counts) <= MAXIMUM_LABEL_VALUES:
        return dict(counts)
    first = set(known)
    order = sorted(counts, key=lambda name: (name not in first, -counts[name], name))
    kept = order[: MAXIMUM_LABEL_VALUES - 1]
    rest = sum(counts[name] for name in order[MAXIMUM_LABEL_VALUES - 1 :])
    return {**{name: counts[name] for name in kept}, OTHER: rest}


def _of_state(state: LedgerState) -> Iterator[Family]:
    yield gauge("onconode_studies_waiting", {(): state.studies_waiting})
    yield gauge("onconode_study_oldest_seconds", {(): state.study_oldest_s})
    yield gauge("onconode_jobs", _by_one(state.jobs))
    yield gauge("onconode_job_oldest_seconds", _by_one(state.job_oldest_s))
    yield gauge("onconode_queue_jobs", _by_one(state.queue))
    yield gauge("onconode_queue_oldest_seconds", _by_one(state.queue_oldest_s))
    yield gauge("onconode_deliveries", state.deliveries)
    yield gauge("onconode_delivery_oldest_seconds", _by_one(state.delivery_oldest_s))
    yield gauge("onconode_associations_open", {(): state.associations_open})


def _of_totals(totals: Totals, *, known: set[str]) -> Iterator[Family]:
    for name, counts in (
        ("onconode_instances_received", totals.received),
        ("onconode_instances_refused", totals.refused),
    ):
        yield counter(name, _by_one(limit_labels(counts, known=known)))
    for name, counts in (
        ("onconode_instances_sent", totals.sent),
        ("onconode_instances_send_failed", totals.send_failed),
        ("onconode_instances_committed", totals.committed),
        ("onconode_associations", totals.associations),
    ):
        yield counter(name, _by_one(counts))
    now = utc_now()
    silence = {name: (now - at).total_seconds() for name, at in totals.last_received.items()}
    latest = sorted(silence, key=lambda name: (name not in known, silence[name], name))
    kept = {name: silence[name] for name in latest[:MAXIMUM_LABEL_VALUES]}
    yield gauge("onconode_source_silence_seconds", _by_one(kept))


def _by_one(samples: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    return {(name,): value for name, value in samples.items()}


def _bundles(parts: Parts) -> Iterator[dict[str, str]]:
    for name in sorted({rule.bundle for rule in parts.settings.routing}):
        try:
            manifest = parts.models.manifest(name)
            path = parts.models.root / manifest.name / manifest.version / MANIFEST
            yield {
                "bundle": manifest.name,
                "version": manifest.version,
                "digest": hash_file(path)[:12],
            }
        except (SetupFault, OSError):
            yield {"bundle": name.partition("/")[0], "version": "missing", "digest": ""}


def _certificates(parts: Parts) -> Iterator[tuple[tuple[str, ...], float]]:
    try:
        found = list_certificates(parts.settings)
    except SetupFault:
        return
    for each in found:
        yield (each.purpose,), (each.certificate.not_after - utc_now()).total_seconds()


def expected_processes(settings: Settings) -> list[str]:
    """Return the names of the processes that a running node has."""
    jobs = settings.node.jobs
    own = ["scheduler", *(f"worker-{number}" for number in range(1, jobs.workers + 1))]
    web = ["web"] if settings.node.web.enabled else []
    return ["supervisor", "listener", "dispatcher", *([] if jobs.scheduler_address else own), *web]


def living_processes(parts: Parts) -> dict[str, bool]:
    """Return which of the expected processes live."""
    return {
        name: _lives(parts.run_dir / f"{name}.pid") for name in expected_processes(parts.settings)
    }


def _lives(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _audit_records(parts: Parts) -> int:
    try:
        return read_head(parts.settings.node.data_dir / FOLDER).number
    except ValueError:
        return 0
