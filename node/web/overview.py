"""What the overview shows: one look at the whole node."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from node.config.settings import Peer
from node.domain.errors import SetupFault
from node.jobs.figures import LedgerState, measure_ledger
from node.jobs.flow import Flow, PeerSending, RunningJob, measure_flow
from node.jobs.job import DeliveryState
from node.jobs.state import JobState
from node.storage.associations import AssociationRecord
from node.storage.usage import measure_usage
from node.web.alarms import Alarm, Condition, list_alarms
from node.web.services import Services

OF_LATE = timedelta(hours=24)
STAGES = ("load", "read", "segment", "radiomics", "classify", "compare", "report")
"""Of a running job, in their order; ``load`` until the first one begins."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A station of the flow.

    Parameters
    ----------
    name : str
        ``arriving``, ``queued``, a stage, ``sending``, ``delivered`` or ``committed``.
    count : int
        Studies or jobs that are there now; of the last two, that came there within a day.
    oldest_s : float
        Age of the one that is there longest; 0: none, or not told.
    """

    name: str
    count: int
    oldest_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PeerLine:
    """A peer, and the traffic with it.

    Parameters
    ----------
    name, ae_title, address : str
    last_called_at : datetime or None
        When it called this node last.
    last_call : str
        What came of that; empty if it never called.
    last_sent_at : datetime or None
    waiting, failed : int
        Objects that are to be sent, and that were given up.
    oldest_s : float
    state : {"good", "warn", "bad", "idle"}
    error : str
        Why sending does not succeed; empty if it does.
    """

    name: str
    ae_title: str
    address: str
    last_called_at: datetime | None
    last_call: str
    last_sent_at: datetime | None
    waiting: int
    failed: int
    oldest_s: float
    state: str
    error: str


@dataclass(frozen=True, kw_only=True)
class BundleLine:
    """A bundle that rules name.

    Parameters
    ----------
    name : str
        As the rules write it.
    version : str
        Empty: it is not there.
    rules : tuple of str
    """

    name: str
    version: str
    rules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DiskLine:
    """The disk of the node.

    Parameters
    ----------
    free_bytes, soft_bytes, hard_bytes : int
    state : {"good", "soft", "hard"}
    usage : mapping of str to int
        Use -> bytes.
    """

    free_bytes: int
    soft_bytes: int
    hard_bytes: int
    state: str
    usage: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Overview:
    """One look at the node.

    Parameters
    ----------
    at : datetime
    steps : tuple of Step
    queue : tuple of (str, int, float)
        Priority, jobs that wait, and the age of the oldest.
    running : tuple of RunningJob
    jobs : mapping of str to int
        By state.
    associations_open : int
    peers : tuple of PeerLine
    disk : DiskLine
    bundles : tuple of BundleLine
    processes : mapping of str to bool
    alarms : tuple of Alarm
    """

    at: datetime
    steps: tuple[Step, ...]
    queue: tuple[tuple[str, int, float], ...]
    running: tuple[RunningJob, ...]
    jobs: Mapping[str, int]
    associations_open: int
    peers: tuple[PeerLine, ...]
    disk: DiskLine
    bundles: tuple[BundleLine, ...]
    processes: Mapping[str, bool]
    alarms: tuple[Alarm, ...]

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What a watcher wants to see at once; ages are not in it."""
        return (
            tuple((step.name, step.count) for step in self.steps),
            tuple((lane, count) for lane, count, _ in self.queue),
            tuple((job.job_id, job.stage) for job in self.running),
            tuple(sorted(self.jobs.items())),
            self.associations_open,
            tuple(
                (p.name, p.last_called_at, p.last_sent_at, p.waiting, p.error) for p in self.peers
            ),
            self.disk.state,
            self.alarms,
        )


@dataclass(frozen=True, kw_only=True)
class Seldom:
    """What takes long to read and changes seldom.

    Parameters
    ----------
    usage : mapping of str to int
        Use of the disk -> bytes.
    bundles : tuple of BundleLine
    certificates : mapping of str to datetime
    clock_fault : str
    """

    usage: Mapping[str, int]
    bundles: tuple[BundleLine, ...]
    certificates: Mapping[str, datetime]
    clock_fault: str


def look_seldom(services: Services) -> Seldom:
    """Return what takes long: every folder is read."""
    return Seldom(
        usage=measure_usage(services.spool),
        bundles=list_bundles(services),
        certificates=services.certificates(),
        clock_fault=services.clock_fault(),
    )


def look_at_node(services: Services, seldom: Seldom) -> Overview:
    """Return what the node does now."""
    now = services.now()
    settings = services.settings()
    state = measure_ledger(services.engine, now=services.now)
    flow = measure_flow(services.engine, since=now - OF_LATE)
    calls = services.associations.latest_of_peers()
    peers = tuple(
        _peer_line(peer, calls.get(peer.name), flow.sending.get(peer.name), state)
        for peer in settings.peers
    )
    disk = _disk_line(services, seldom.usage)
    processes = services.processes()
    condition = Condition(
        failed_jobs=state.jobs[JobState.FAILED],
        rejected=flow.rejected,
        quarantined=services.store.count_quarantined(since=now - OF_LATE),
        failed_deliveries={peer.name: peer.failed for peer in peers if peer.failed},
        failing_peers={peer.name: peer.error for peer in peers if peer.error and peer.waiting},
        processes=processes,
        missing_bundles=tuple(each.name for each in seldom.bundles if not each.version),
        disk=disk.state,
        certificates=seldom.certificates,
        clock_fault=seldom.clock_fault,
        warn_days=settings.node.tls.warn_days,
        now=now,
    )
    return Overview(
        at=now,
        steps=tuple(_steps(state, flow, now)),
        queue=tuple(
            (lane, count, state.queue_oldest_s[lane]) for lane, count in state.queue.items()
        ),
        running=flow.running,
        jobs=state.jobs,
        associations_open=state.associations_open,
        peers=peers,
        disk=disk,
        bundles=seldom.bundles,
        processes=processes,
        alarms=list_alarms(condition),
    )


def list_bundles(services: Services) -> tuple[BundleLine, ...]:
    """Return the bundles that the rules name, and which version of each would run."""
    rules: dict[str, list[str]] = {}
    for rule in services.settings().routing:
        rules.setdefault(rule.bundle, []).append(rule.name)
    return tuple(
        BundleLine(name=name, version=_version(services, name), rules=tuple(of_bundle))
        for name, of_bundle in rules.items()
    )


def _version(services: Services, bundle: str) -> str:
    try:
        return services.models.manifest(bundle).version
    except (SetupFault, OSError):
        return ""


def _steps(state: LedgerState, flow: Flow, now: datetime) -> list[Step]:
    oldest = state.job_oldest_s
    by_stage: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for job in flow.running:
        by_stage.setdefault(job.stage or STAGES[0], []).append(
            (now - job.stage_began_at).total_seconds()
        )
    return [
        Step(name="arriving", count=state.studies_waiting, oldest_s=state.study_oldest_s),
        Step(
            name="queued",
            count=state.jobs[JobState.QUEUED],
            oldest_s=oldest[JobState.QUEUED],
        ),
        *(
            Step(name=stage, count=len(ages), oldest_s=max(ages, default=0.0))
            for stage, ages in by_stage.items()
        ),
        Step(
            name="sending",
            count=state.jobs[JobState.SENDING],
            oldest_s=oldest[JobState.SENDING],
        ),
        Step(name="delivered", count=flow.delivered),
        Step(name="committed", count=flow.committed),
    ]


def _peer_line(
    peer: Peer, call: AssociationRecord | None, sent: PeerSending | None, state: LedgerState
) -> PeerLine:
    waiting = state.deliveries.get((peer.name, DeliveryState.PENDING.value), 0)
    failed = state.deliveries.get((peer.name, DeliveryState.FAILED.value), 0)
    error = sent.error if sent is not None and (waiting or failed) else ""
    last_sent_at = None if sent is None else sent.last_sent_at
    if failed:
        colour = "bad"
    elif error:
        colour = "warn"
    else:
        colour = "good" if call is not None or last_sent_at is not None else "idle"
    return PeerLine(
        name=peer.name,
        ae_title=peer.ae_title,
        address=peer.address,
        last_called_at=None if call is None else call.started_at,
        last_call="" if call is None else call.result.value,
        last_sent_at=last_sent_at,
        waiting=waiting,
        failed=failed,
        oldest_s=state.delivery_oldest_s.get(peer.name, 0.0),
        state=colour,
        error=error,
    )


def _disk_line(services: Services, usage: Mapping[str, int]) -> DiskLine:
    room = services.disk()
    free = room.free_bytes()
    if free < room.marks.hard_bytes:
        state = "hard"
    else:
        state = "soft" if free < room.marks.soft_bytes else "good"
    return DiskLine(
        free_bytes=free,
        soft_bytes=room.marks.soft_bytes,
        hard_bytes=room.marks.hard_bytes,
        state=state,
        usage=usage,
    )
