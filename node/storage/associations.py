"""Associations that were asked for here: who, from where, with which result and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, func, insert, or_, select, update

from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import AssociationRow


class AssociationResult(StrEnum):
    """What came of an association."""

    OPEN = "open"
    RELEASED = "released"
    ABORTED = "aborted"  # after it was accepted, by either side or by the network
    REJECTED = "rejected"  # by A-ASSOCIATE-RJ
    FAILED = "failed"  # no association was asked for: TLS, time-out, bytes that are no DICOM


NOT_ACCEPTED = (AssociationResult.REJECTED, AssociationResult.FAILED)


@dataclass(frozen=True, kw_only=True)
class RefusedContext:
    """A presentation context that was refused.

    Parameters
    ----------
    sop_class_uid : str
    reason : str
    transfer_syntax_uids : tuple of str
        As proposed; empty where they were not the reason.
    """

    sop_class_uid: str
    reason: str
    transfer_syntax_uids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AssociationRecord:
    """What is known of an association.

    Parameters
    ----------
    token : str
        Tells it from all others: a later record of the same token takes the place of this one.
    listener : str
        Which node was called.
    started_at, ended_at : datetime
        Of the connection; no end while it is open.
    address : str
        IP address of the peer.
    port : int
        Of the node, that was called.
    tls : str
        Version, such as ``TLSv1.3``; empty without TLS.
    certificate : str
        Subject of the peer's certificate, if it showed one.
    calling_ae_title, called_ae_title : str
        Empty if no association was asked for.
    peer : str
        Name in ``peers.yaml``; empty if it has none.
    result : AssociationResult
    rejection : str
        Result, source and reason of the A-ASSOCIATE-RJ, such as ``1/1/7``; else empty.
    reason : str
        In words, why it was refused or did not end as it should; else empty.
    accepted : mapping of str to tuple of str
        Transfer Syntax UID -> SOP Class UIDs.
    refused : tuple of RefusedContext
    objects_stored, objects_refused, bytes_stored : int
        Of C-STORE; a duplicate counts as stored.

    References
    ----------
    PS3.8 table 9-21 (result, source, reason).
    """

    token: str
    listener: str
    started_at: datetime
    ended_at: datetime | None = None
    address: str
    port: int
    tls: str = ""
    certificate: str = ""
    calling_ae_title: str = ""
    called_ae_title: str = ""
    peer: str = ""
    result: AssociationResult
    rejection: str = ""
    reason: str = ""
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refused: tuple[RefusedContext, ...] = ()
    objects_stored: int = 0
    objects_refused: int = 0
    bytes_stored: int = 0


class AssociationStore:
    """The latest associations.

    Parameters
    ----------
    engine : Engine
    keep : int
        How many of the latest are kept.
    now : callable
        Clock; aware UTC.
    """

    def __init__(
        self, engine: Engine, *, keep: int = 10_000, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._engine = engine
        self._keep = keep
        self._now = now

    def record_all(self, records: Sequence[AssociationRecord]) -> None:
        """Write records, each in the place of an earlier one of its token; forget the oldest."""
        by_token = {record.token: record for record in records}
        if not by_token:
            return
        with writing(self._engine) as session:
            known = set(
                session.scalars(
                    select(AssociationRow.token).where(AssociationRow.token.in_(by_token))
                )
            )
            for token, record in by_token.items():
                if token in known:
                    session.execute(
                        update(AssociationRow)
                        .where(AssociationRow.token == token)
                        .values(_values(record))
                    )
            new = [_values(record) for token, record in by_token.items() if token not in known]
            if new:
                session.execute(insert(AssociationRow), new)
            newest = session.scalar(select(func.max(AssociationRow.association_id))) or 0
            session.execute(
                delete(AssociationRow).where(AssociationRow.association_id <= newest - self._keep)
            )

    def close_open(self, listener: str) -> int:
        """End what an earlier run of a listener left open; returns how many that were."""
        with writing(self._engine) as session:
            changed = session.execute(
                update(AssociationRow)
                .where(
                    AssociationRow.result == AssociationResult.OPEN,
                    AssociationRow.listener == listener,
                )
                .values(
                    result=AssociationResult.ABORTED,
                    ended_at=self._now(),
                    reason="the node ended before the association did",
                )
            )
            return int(getattr(changed, "rowcount", 0))

    def list(
        self, *, refused: bool = False, ae_title: str | None = None, limit: int = 100
    ) -> tuple[AssociationRecord, ...]:
        """Return the latest associations, the latest first.

        Parameters
        ----------
        refused : bool
            Only those that were refused, ended otherwise than by release, or of which an object
            was refused.
        ae_title : str, optional
            Only those that called themselves so; also the name of a peer.
        limit : int
        """
        query = select(AssociationRow)
        if refused:
            query = query.where(_has_reason())
        if ae_title is not None:
            query = query.where(
                or_(AssociationRow.calling_ae_title == ae_title, AssociationRow.peer == ae_title)
            )
        query = query.order_by(AssociationRow.association_id.desc()).limit(limit)
        with reading(self._engine) as session:
            return tuple(_record(row) for row in session.scalars(query))

    def latest_of_peers(self) -> dict[str, AssociationRecord]:
        """Return the last association of each peer that has a name here."""
        newest = select(func.max(AssociationRow.association_id)).where(AssociationRow.peer != "")
        query = select(AssociationRow).where(
            AssociationRow.association_id.in_(newest.group_by(AssociationRow.peer))
        )
        with reading(self._engine) as session:
            return {row.peer: _record(row) for row in session.scalars(query)}


def _has_reason() -> ColumnElement[bool]:
    return or_(
        AssociationRow.result.in_(NOT_ACCEPTED),
        AssociationRow.objects_refused > 0,
        AssociationRow.reason != "",
    )


def _values(record: AssociationRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        name: getattr(record, name)
        for name in AssociationRecord.__dataclass_fields__
        if name not in ("accepted", "refused")
    }
    return {
        **values,
        "result": record.result.value,
        "accepted": {syntax: list(classes) for syntax, classes in record.accepted.items()},
        "refused": [
            [context.sop_class_uid, context.reason, list(context.transfer_syntax_uids)]
            for context in record.refused
        ],
    }


def _record(row: AssociationRow) -> AssociationRecord:
    values = {name: getattr(row, name) for name in AssociationRecord.__dataclass_fields__}
    values |= {
        "result": AssociationResult(row.result),
        "accepted": {syntax: tuple(classes) for syntax, classes in row.accepted.items()},
        "refused": tuple(
            RefusedContext(
                sop_class_uid=sop_class, reason=reason, transfer_syntax_uids=tuple(syntaxes)
            )
            for sop_class, reason, syntaxes in row.refused
        ),
    }
    return AssociationRecord(**values)
