"""What the listener tells the audit trail: studies that arrive, associations that do not."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Engine

from node.bootstrap.auditing import share_of
from node.storage.associations import NOT_ACCEPTED, AssociationRecord, AssociationResult
from node.storage.instances import InstanceStore, ReceivedInstance, Recorded
from node.telemetry.audit import codes, events
from node.telemetry.audit.message import Outcome, Participant
from node.telemetry.audit.trail import AuditTrail

log = structlog.get_logger()

MAXIMUM_WAITING = 10_000
ALERT_EVERY_S = 60.0
MAXIMUM_ALERTS = 256
"""Kinds of refusals that are told apart; all further ones share one."""


@dataclass(kw_only=True)
class _Arrival:
    """Objects of one study by one sender that no message has told of yet."""

    instances: Counter[str] = field(default_factory=Counter)
    sample: Path


@dataclass(kw_only=True)
class _Repeated:
    """Refusals of one kind: when the next one may be told, and how many were not."""

    not_before_s: float = float("-inf")
    untold: int = 0


class ReceivingAudit:
    """Tells of transfers to this node, and of associations that were refused.

    A thread of its own reads headers and writes: no answer to a sender waits for the trail.

    Parameters
    ----------
    trail : AuditTrail
    clock : callable
        Seconds that only go forward.
    """

    def __init__(self, trail: AuditTrail, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._trail = trail
        self._clock = clock
        self._arrivals: dict[tuple[str, str], _Arrival] = {}
        self._events: queue.Queue[Callable[[], None] | None] = queue.Queue(MAXIMUM_WAITING)
        self._alerts: dict[tuple[str, str, str], _Repeated] = {}
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def stored(self, received: ReceivedInstance) -> None:
        """An object is safe; the first of its study tells that a transfer begins."""
        self._put(partial(self._tell_stored, received))

    def associated(self, record: AssociationRecord) -> None:
        """An association was opened, refused, or has ended."""
        if record.result in NOT_ACCEPTED:
            self._put(partial(self._alert, record))
        elif record.result is not AssociationResult.OPEN and record.objects_stored:
            self._put(partial(self._flush, record.calling_ae_title, address=record.address))

    def close(self) -> None:
        """Tell of what arrived over associations whose end nobody told, and end."""
        self._events.put(None)
        self._thread.join()
        for sender in {sender for sender, _ in self._arrivals}:
            self._flush(sender, address="")

    def _put(self, event: Callable[[], None]) -> None:
        try:
            self._events.put_nowait(event)
        except queue.Full:
            log.error("audit.dropped", waiting=MAXIMUM_WAITING)

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                event()
            except Exception:  # boundary: one event that cannot be told must not end the others
                log.exception("audit.failed")

    def _tell_stored(self, received: ReceivedInstance) -> None:
        sender, study = received.calling_ae_title, received.study_instance_uid
        arrival = self._arrivals.get((sender, study))
        is_first = arrival is None
        if arrival is None:
            arrival = _Arrival(sample=received.instance.path)
            self._arrivals[sender, study] = arrival
        arrival.instances[received.instance.sop_class_uid] += 1
        if is_first:
            share = share_of(self._trail, study, {}, arrival.sample)
            begin = events.begin_transferring(
                source=_sender(sender),
                destination=self._trail.node.participant(
                    role=codes.DESTINATION, is_requestor=False
                ),
                study=share,
            )
            self._trail.record(begin)

    def _flush(self, sender: str, *, address: str) -> None:
        keys = [key for key in self._arrivals if key[0] == sender]
        arrivals = {study: self._arrivals.pop((sender, study)) for _, study in keys}
        for study, arrival in arrivals.items():
            share = share_of(self._trail, study, arrival.instances, arrival.sample)
            self._trail.record(
                events.instances_transferred(
                    source=_sender(sender, address=address),
                    destination=self._trail.node.participant(
                        role=codes.DESTINATION, is_requestor=False
                    ),
                    study=share,
                    received=True,
                )
            )

    def _alert(self, record: AssociationRecord) -> None:
        """Tell of a refusal; of the same again, only once a minute, and how often it was.

        Whoever is refused may try a thousand times a second, and must not fill the disk by it.
        """
        repeated = self._repeated(record)
        now = self._clock()
        if now < repeated.not_before_s:
            repeated.untold += 1
            return
        what = "association refused" if record.rejection else "no association came about"
        why = f"{what}: {record.reason or record.rejection or record.result}"
        if repeated.untold:
            why += f" ({repeated.untold} more like it since the last alert)"
        repeated.untold, repeated.not_before_s = 0, now + ALERT_EVERY_S
        self._tell_alert(record, why)

    def _repeated(self, record: AssociationRecord) -> "_Repeated":
        key = (record.address, record.calling_ae_title, record.rejection)
        if key not in self._alerts and len(self._alerts) >= MAXIMUM_ALERTS:
            now = self._clock()
            for old in [k for k, each in self._alerts.items() if each.not_before_s <= now]:
                del self._alerts[old]
        if key not in self._alerts and len(self._alerts) >= MAXIMUM_ALERTS:
            key = ("", "", "")
        return self._alerts.setdefault(key, _Repeated())

    def _tell_alert(self, record: AssociationRecord, why: str) -> None:
        who = record.calling_ae_title or record.address
        self._trail.record(
            events.security_alert(
                self._trail.node,
                kind=codes.NODE_AUTHENTICATION,
                description=why,
                subject=who,
                peer=Participant(
                    user_id=who,
                    alternative_user_id=f"AETITLES={record.calling_ae_title}",
                    address=record.address,
                    is_requestor=True,
                ),
                outcome=Outcome.MINOR_FAILURE,
            )
        )


class AuditedInstanceStore(InstanceStore):
    """An instance store that tells of every new object.

    Parameters
    ----------
    engine : Engine
    audit : ReceivingAudit
    """

    def __init__(self, engine: Engine, *, audit: ReceivingAudit) -> None:
        super().__init__(engine)
        self._audit = audit

    def record_all(self, batch: Sequence[ReceivedInstance]) -> list[Recorded]:
        """Record objects, then tell of those that are new."""
        outcomes = super().record_all(batch)
        for received, outcome in zip(batch, outcomes, strict=True):
            if outcome is Recorded.NEW:
                self._audit.stored(received)
        return outcomes


def _sender(ae_title: str, *, address: str = "") -> Participant:
    return Participant(
        user_id=ae_title or "unknown",
        alternative_user_id=f"AETITLES={ae_title}",
        role=codes.SOURCE,
        is_requestor=True,
        address=address,
    )
