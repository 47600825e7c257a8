"""Requests of peers that this node commits to objects, kept until each peer has its answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import IntegrityError

from node.jobs.backoff import Backoff
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import CommitmentRequestRow

log = structlog.get_logger()

SAME_ASSOCIATION = timedelta(seconds=15)
"""Time for the answer on the association of the request, before another one is opened."""
LEASE = timedelta(minutes=5)
KEPT = timedelta(days=7)


class RequestState(StrEnum):
    """Where a peer's request stands."""

    OPEN = "open"  # the peer has no answer yet
    REPORTED = "reported"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, kw_only=True)
class CommitmentRequest:
    """What a peer asked for.

    Parameters
    ----------
    request_id : int
    calling_ae_title, transaction_uid : str
    objects : tuple of (str, str)
        SOP Class UID and SOP Instance UID of each.
    """

    request_id: int
    calling_ae_title: str
    transaction_uid: str
    objects: tuple[tuple[str, str], ...]


class CommitmentRequests:
    """Requests in the database.

    Parameters
    ----------
    engine : Engine
    backoff : Backoff
        Between attempts to answer.
    maximum_attempts : int
    now : callable
        Clock; aware UTC.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        backoff: Backoff,
        maximum_attempts: int = 50,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._backoff = backoff
        self._maximum_attempts = maximum_attempts
        self._now = now

    def add(
        self, *, calling_ae_title: str, transaction_uid: str, objects: Sequence[tuple[str, str]]
    ) -> CommitmentRequest:
        """Write a request down; one that was asked before is answered again, by its new objects."""
        now = self._now()
        query = select(CommitmentRequestRow).where(
            CommitmentRequestRow.calling_ae_title == calling_ae_title,
            CommitmentRequestRow.transaction_uid == transaction_uid,
        )
        with writing(self._engine) as session:
            row = session.scalar(query.with_for_update())
            if row is None:
                row = CommitmentRequestRow(
                    calling_ae_title=calling_ae_title,
                    transaction_uid=transaction_uid,
                    received_at=now,
                )
            row.objects = [list(each) for each in objects]
            row.state = RequestState.OPEN.value
            row.attempts = 0
            row.not_before = now + SAME_ASSOCIATION
            row.error = ""
            try:
                with session.begin_nested():
                    session.add(row)
            except IntegrityError:  # PostgreSQL: the same request on another association, just now
                row = session.scalars(query).one()
            session.flush()
            return _request_of(row)

    def due_ae_titles(self) -> list[str]:
        """Return the AE titles that wait for an answer on an association that we open."""
        query = select(CommitmentRequestRow.calling_ae_title).distinct().where(
            CommitmentRequestRow.state == RequestState.OPEN.value,
            CommitmentRequestRow.not_before <= self._now(),
        )  # fmt: skip
        with reading(self._engine) as session:
            return sorted(session.scalars(query))

    def claim(self, calling_ae_title: str, *, limit: int = 20) -> list[CommitmentRequest]:
        """Return due requests of a peer; not again before a lease ends."""
        now = self._now()
        query = (
            select(CommitmentRequestRow)
            .where(
                CommitmentRequestRow.state == RequestState.OPEN.value,
                CommitmentRequestRow.not_before <= now,
                CommitmentRequestRow.calling_ae_title == calling_ae_title,
            )
            .order_by(CommitmentRequestRow.request_id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with writing(self._engine) as session:
            rows = session.scalars(query).all()
            for row in rows:
                row.attempts += 1
                row.not_before = now + LEASE
            return [_request_of(row) for row in rows]

    def reported(self, request_id: int) -> None:
        """Record that the peer took its answer; forget what was answered long ago."""
        now = self._now()
        old = CommitmentRequestRow.state != RequestState.OPEN.value
        old &= CommitmentRequestRow.received_at < now - KEPT
        with writing(self._engine) as session:
            row = session.get(CommitmentRequestRow, request_id, with_for_update=True)
            if row is not None:
                row.state = RequestState.REPORTED.value
                row.error = ""
            session.execute(delete(CommitmentRequestRow).where(old))

    def report_failed(self, request_id: int, *, error: str, retry: bool) -> None:
        """Record that the peer did not take its answer: again after a back-off, or given up."""
        with writing(self._engine) as session:
            row = session.get(CommitmentRequestRow, request_id, with_for_update=True)
            if row is None or row.state != RequestState.OPEN:
                return
            row.error = error
            if retry and row.attempts < self._maximum_attempts:
                row.not_before = self._now() + self._backoff.delay(max(1, row.attempts), None)
                return
            row.state = RequestState.GIVEN_UP.value
            log.error("commitment.unreported", calling_ae_title=row.calling_ae_title, reason=error)

    def state_of(self, calling_ae_title: str, transaction_uid: str) -> tuple[RequestState, str]:
        """Return where a request stands, and why it is not answered; KeyError if there is none."""
        query = select(CommitmentRequestRow).where(
            CommitmentRequestRow.calling_ae_title == calling_ae_title,
            CommitmentRequestRow.transaction_uid == transaction_uid,
        )
        with reading(self._engine) as session:
            row = session.scalar(query)
            if row is None:
                raise KeyError(transaction_uid)
            return RequestState(row.state), row.error


def _request_of(row: CommitmentRequestRow) -> CommitmentRequest:
    return CommitmentRequest(
        request_id=row.request_id,
        calling_ae_title=row.calling_ae_title,
        transaction_uid=row.transaction_uid,
        objects=tuple((pair[0], pair[1]) for pair in row.objects),
    )
