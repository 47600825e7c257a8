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
from node.telemetry.audit.throttle import Throttle
from node.telemetry.audit.trail import AuditTrail

log = structlog.get_logger()

MAXIMUM_WAITING = 10_000
ALERT_EVERY_S = 60.0
LOGIN_EVERY_S = 3600.0
"""A machine that shows its certificate again within this time is told of no second time."""


@dataclass(kw_only=True)
class _Arrival:
    """Objects of one study by one sender that no message has told of yet."""

    instances: Counter[str] = field(default_factory=Counter)
    sample: Path


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
        self._arrivals: dict[tuple[str, str], _Arrival] = {}
        self._events: queue.Queue[Callable[[], None] | None] = queue.Queue(MAXIMUM_WAITING)
        self._alerts = Throttle(every_s=ALERT_EVERY_S, clock=clock)
        self._logins = Throttle(every_s=LOGIN_EVERY_S, clock=clock)
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def stored(self, received: ReceivedInstance) -> None:
        """An object is safe; the first of its study tells that a transfer begins."""
        self._put(partial(self._tell_stored, received))

    def associated(self, record: AssociationRecord) -> None:
        """An association was opened, refused, or has ended."""
        if record.result in NOT_ACCEPTED:
            self._put(partial(self._alert, record))
        elif record.result is AssociationResult.OPEN and record.certificate:
            self._put(partial(self._tell_login, record))
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
        untold = self._alerts.admit((record.address, record.calling_ae_title, record.rejection))
        if untold is None:
            return
        what = "association refused" if record.rejection else "no association came about"
        why = f"{what}: {record.reason or record.rejection or record.result}"
        if untold:
            why += f" ({untold} more like it since the last alert)"
        who = record.calling_ae_title or record.address
        self._trail.record(
            events.security_alert(
                self._trail.node,
                kind=codes.NODE_AUTHENTICATION,
                description=why,
                subject=who,
                peer=_caller(record, who),
                outcome=Outcome.MINOR_FAILURE,
            )
        )

    def _tell_login(self, record: AssociationRecord) -> None:
        """Tell of a machine that showed a certificate which the node trusts, and may associate."""
        kind = (record.address, record.calling_ae_title, record.certificate)
        if self._logins.admit(kind) is not None:
            user = _caller(record, record.certificate)
            self._trail.record(events.user_authentication(self._trail.node, user=user))


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


def _caller(record: AssociationRecord, user_id: str) -> Participant:
    return Participant(
        user_id=user_id,
        alternative_user_id=f"AETITLES={record.calling_ae_title}",
        address=record.address,
        is_requestor=True,
    )
