"""The ledger in figures: what stands in it now, and what has happened since one began to look.

Counters of Prometheus only rise until the process begins anew. Rows of the ledger are purged, so
counts of rows would fall; what is new is counted instead, from the moment of the first look.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, func, select
from sqlalchemy.orm import Session

from node.domain.priority import Priority
from node.jobs.job import IN_PEER, PROVEN, DeliveryState
from node.jobs.state import FINISHED, JobEvent, JobState
from node.storage.clock import utc_now
from node.storage.database import reading
from node.storage.tables import (
    AssociationRow,
    DeliveryRow,
    InstanceRow,
    JobDeliveryRow,
    JobEventLine,
    JobRow,
    QuarantinedRow,
    StudyRow,
)

UNFINISHED = tuple(state for state in JobState if state not in FINISHED)
OVERLAP = timedelta(seconds=60)
"""Rows get their time before they are committed: so far back they are looked at again."""
MAXIMUM_REMEMBERED = 20_000


@dataclass(frozen=True, kw_only=True)
class LedgerState:
    """What stands in the ledger at one moment; ages in seconds.

    Parameters
    ----------
    studies_waiting : int
    study_oldest_s : float
    jobs : dict of str to int
        By state, also those of which there is none.
    job_oldest_s : dict of str to float
        By unfinished state.
    queue : dict of str to int
        Queued jobs by priority, also those of which there is none.
    queue_oldest_s : dict of str to float
        By priority.
    deliveries : dict of (str, str) to int
        By peer and state.
    delivery_oldest_s : dict of str to float
        By peer.
    associations_open : int
    """

    studies_waiting: int
    study_oldest_s: float
    jobs: dict[str, int]
    job_oldest_s: dict[str, float]
    queue: dict[str, int]
    queue_oldest_s: dict[str, float]
    deliveries: dict[tuple[str, ...], int]
    delivery_oldest_s: dict[str, float]
    associations_open: int


def measure_ledger(engine: Engine, *, now: Callable[[], datetime] = utc_now) -> LedgerState:
    """Count what is in the ledger."""
    with reading(engine) as session:
        moment = now()
        waiting, oldest = session.execute(
            select(func.count(), func.min(StudyRow.last_received_at)).where(
                StudyRow.assembled_digest.is_(None)
            )
        ).one()
        jobs = {state.value: 0 for state in JobState}
        job_oldest = {state.value: 0.0 for state in UNFINISHED}
        by_state = select(JobRow.state, func.count(), func.min(JobRow.created_at))
        for state, count, since in session.execute(by_state.group_by(JobRow.state)):
            jobs[state] = count
            if state in job_oldest:
                job_oldest[state] = _age(since, moment)
        queue = {priority.value: 0 for priority in Priority}
        queue_oldest = {priority.value: 0.0 for priority in Priority}
        by_priority = (
            select(JobRow.priority, func.count(), func.min(JobRow.created_at))
            .where(JobRow.state == JobState.QUEUED.value)
            .group_by(JobRow.priority)
        )
        for priority, count, since in session.execute(by_priority):
            lane = Priority(priority or Priority.ROUTINE).value
            queue[lane] = count
            queue_oldest[lane] = _age(since, moment)
        by_peer = select(DeliveryRow.destination, DeliveryRow.state, func.count())
        rows = session.execute(by_peer.group_by(DeliveryRow.destination, DeliveryRow.state))
        deliveries: dict[tuple[str, ...], int] = {
            (peer, state): count for peer, state, count in rows
        }
        return LedgerState(
            studies_waiting=waiting,
            study_oldest_s=_age(oldest, moment),
            jobs=jobs,
            job_oldest_s=job_oldest,
            queue=queue,
            queue_oldest_s=queue_oldest,
            deliveries=deliveries,
            delivery_oldest_s=_oldest_deliveries(session, deliveries, moment),
            associations_open=session.scalar(
                select(func.count()).where(
                    AssociationRow.result == "open", AssociationRow.ended_at.is_(None)
                )
            )
            or 0,
        )


def _oldest_deliveries(
    session: Session, deliveries: dict[tuple[str, ...], int], moment: datetime
) -> dict[str, float]:
    """A delivery is as old as the results of the oldest job that waits for it."""
    oldest = {key[0]: 0.0 for key in deliveries}
    query = (
        select(DeliveryRow.destination, func.min(JobRow.updated_at))
        .join(JobDeliveryRow, JobDeliveryRow.delivery_id == DeliveryRow.delivery_id)
        .join(JobRow, JobRow.job_id == JobDeliveryRow.job_id)
        .where(
            DeliveryRow.state == DeliveryState.PENDING.value,
            JobRow.state == JobState.SENDING.value,
        )
        .group_by(DeliveryRow.destination)
    )
    for peer, since in session.execute(query):
        oldest[peer] = _age(since, moment)
    return oldest


def _age(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


@dataclass(kw_only=True)
class Totals:
    """What has happened since the first look.

    Parameters
    ----------
    received, refused : Counter of str
        Objects by calling AE title.
    sent, send_failed, committed : Counter of str
        Objects by peer.
    associations : Counter of str
        By ``accepted``, ``rejected``, ``failed``.
    hops : list of (str, float)
        Name of a hop and its seconds, since the look before this one.
    last_received : dict of str to datetime
        By calling AE title, also what came before the first look.
    """

    received: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    send_failed: Counter[str] = field(default_factory=Counter)
    committed: Counter[str] = field(default_factory=Counter)
    associations: Counter[str] = field(default_factory=Counter)
    hops: list[tuple[str, float]] = field(default_factory=list)
    last_received: dict[str, datetime] = field(default_factory=dict)


class LedgerFollower:
    """Counts what is new in the ledger; one thread at a time.

    Parameters
    ----------
    engine : Engine
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now
        self.totals = Totals()
        self._positions: dict[str, int] = {}
        self._began = now()
        self._seen: OrderedDict[int, str] = OrderedDict()
        with reading(engine) as session:
            for name, column in _POSITIONS.items():
                self._positions[name] = session.scalar(select(func.max(column))) or 0
            query = select(InstanceRow.calling_ae_title, func.max(InstanceRow.received_at))
            for sender, at in session.execute(query.group_by(InstanceRow.calling_ae_title)):
                self.totals.last_received[sender] = at
        self._looked = self._began

    def look(self) -> Totals:
        """Count what came since the last look; ``hops`` are those of this look only."""
        self.totals.hops = []
        with reading(self._engine) as session:
            self._count_received(session)
            self._count_refused(session)
            self._count_associations(session)
            self._count_sent(session)
            self._measure_hops(session)
        return self.totals

    def _new(self, name: str) -> ColumnElement[bool]:
        return _POSITIONS[name] > self._positions[name]

    def _count_received(self, session: Session) -> None:
        query = select(
            InstanceRow.calling_ae_title,
            func.count(),
            func.max(InstanceRow.received_at),
            func.max(InstanceRow.instance_id),
        ).where(self._new("instances"))
        rows = session.execute(query.group_by(InstanceRow.calling_ae_title)).all()
        for sender, count, at, last in rows:
            self.totals.received[sender] += count
            self.totals.last_received[sender] = at
            self._advance("instances", last)

    def _count_refused(self, session: Session) -> None:
        query = select(
            QuarantinedRow.calling_ae_title, func.count(), func.max(QuarantinedRow.quarantined_id)
        ).where(self._new("quarantined"))
        rows = session.execute(query.group_by(QuarantinedRow.calling_ae_title)).all()
        for sender, count, last in rows:
            self.totals.refused[sender] += count
            self._advance("quarantined", last)

    def _count_associations(self, session: Session) -> None:
        query = select(
            AssociationRow.result, func.count(), func.max(AssociationRow.association_id)
        ).where(self._new("associations"))
        rows = session.execute(query.group_by(AssociationRow.result)).all()
        for result, count, last in rows:
            name = result if result in ("rejected", "failed") else "accepted"
            self.totals.associations[name] += count
            self._advance("associations", last)

    def _count_sent(self, session: Session) -> None:
        """States of a delivery change in its row: compare with what was seen before."""
        since = max(self._began, self._looked - OVERLAP)
        query = select(DeliveryRow.delivery_id, DeliveryRow.destination, DeliveryRow.state)
        self._looked = self._now()
        for delivery_id, peer, state in session.execute(
            query.where(DeliveryRow.updated_at > since)
        ):
            before = self._seen.get(delivery_id)
            if before == state:
                continue
            self._seen[delivery_id] = state
            if state in IN_PEER and before not in IN_PEER:
                self.totals.sent[peer] += 1
            if state in PROVEN and before not in PROVEN:
                self.totals.committed[peer] += 1
            if state == DeliveryState.FAILED:
                self.totals.send_failed[peer] += 1
        while len(self._seen) > MAXIMUM_REMEMBERED:
            self._seen.popitem(last=False)

    def _measure_hops(self, session: Session) -> None:
        query = (
            select(JobEventLine, JobRow.created_at, StudyRow.last_received_at)
            .join(JobRow, JobRow.job_id == JobEventLine.job_id)
            .outerjoin(StudyRow, StudyRow.study_instance_uid == JobRow.study_instance_uid)
            .where(self._new("events"))
            .order_by(JobEventLine.event_id)
        )
        for line, created_at, last_received_at in session.execute(query).all():
            self._advance("events", line.event_id)
            if line.event in (JobEvent.ADD, JobEvent.REFUSE):
                self._add_hop("assembled", last_received_at, line.at)
            elif line.event in (JobEvent.FINISH, JobEvent.FINISH_EMPTY):
                self._add_hop("processed", created_at, line.at)
            elif line.event == JobEvent.ACCEPTED:
                self._add_hop("accepted", _before(session, line, JobEvent.FINISH), line.at)
            elif line.event == JobEvent.COMMITTED:
                self._add_hop("committed", _before(session, line, JobEvent.ACCEPTED), line.at)

    def _add_hop(self, hop: str, begin: datetime | None, end: datetime) -> None:
        if begin is not None and begin <= end:
            self.totals.hops.append((hop, (end - begin).total_seconds()))

    def _advance(self, name: str, last: int) -> None:
        self._positions[name] = max(self._positions[name], last)


_POSITIONS = {
    "instances": InstanceRow.instance_id,
    "quarantined": QuarantinedRow.quarantined_id,
    "associations": AssociationRow.association_id,
    "events": JobEventLine.event_id,
}


def _before(session: Session, line: JobEventLine, event: JobEvent) -> datetime | None:
    return session.scalar(
        select(func.max(JobEventLine.at)).where(
            JobEventLine.job_id == line.job_id,
            JobEventLine.event == event.value,
            JobEventLine.event_id < line.event_id,
        )
    )
