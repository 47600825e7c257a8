"""What a worker does to jobs: claim, renew, tell the stage, and conclude.

Every method is one transaction. Whoever runs a job holds its lease under a token that no other
claim shares; calls of an owner that lost the lease change nothing, so work that ran twice is
recorded once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import structlog
from numpy.random import Generator
from sqlalchemy import ColumnElement, Engine, Select, select
from sqlalchemy.orm import Session

from node.dicom.text import as_stored
from node.domain.errors import Problem
from node.domain.report import Evidence
from node.jobs.backoff import Backoff
from node.jobs.commitments import Commitments
from node.jobs.job import Job
from node.jobs.memory import WAITS, Room, find_room
from node.jobs.outbox import GoesTo
from node.jobs.rows import STAGE, WAIT, job_of, locked_job, move, note
from node.jobs.state import JobEvent, JobState
from node.storage.clock import utc_now
from node.storage.database import reading, writing
from node.storage.tables import JobRow

log = structlog.get_logger()


class Claims(Commitments):
    """Jobs under lease.

    Parameters
    ----------
    engine : Engine
        From ``open_database``.
    lease_s : float
        How long a claim holds unless it is renewed.
    maximum_attempts : int
        Claims after which a job that keeps failing is given up.
    retry_backoff_s, retry_backoff_maximum_s : float
        First and longest wait between attempts.
    delivery_maximum_attempts : int
    delivery_backoff_s, delivery_backoff_maximum_s : float
        The same for deliveries.
    commitment : mapping of str to bool
        Destinations of which a proof of what they accepted is sought; true where a delivery
        fails that remains without.
    maximum_losses : int
        How often an object that a destination loses is sent again.
    maximum_commitment_attempts : int
    now : callable
        Clock; aware UTC.
    generator : Generator, optional
        Spreads retries; none spreads nothing.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        lease_s: float,
        maximum_attempts: int = 5,
        retry_backoff_s: float = 5,
        retry_backoff_maximum_s: float = 900,
        delivery_maximum_attempts: int = 50,
        delivery_backoff_s: float = 5,
        delivery_backoff_maximum_s: float = 900,
        commitment: Mapping[str, bool] | None = None,
        maximum_losses: int = 3,
        maximum_commitment_attempts: int = 20,
        now: Callable[[], datetime] = utc_now,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(
            engine,
            lease_s=lease_s,
            maximum_attempts=delivery_maximum_attempts,
            backoff=Backoff(first_s=delivery_backoff_s, maximum_s=delivery_backoff_maximum_s),
            commitment=commitment or {},
            maximum_losses=maximum_losses,
            maximum_commitment_attempts=maximum_commitment_attempts,
            now=now,
            generator=generator,
        )
        self._maximum_claims = maximum_attempts
        self._job_backoff = Backoff(first_s=retry_backoff_s, maximum_s=retry_backoff_maximum_s)

    def claim(self, owner: str, *, memory_limit_bytes: int | None = None) -> Job | None:
        """Lease the first job of those that are due; None when there is none, or it must wait.

        First is the most urgent, then the oldest, with an ageing that ``node.domain.priority``
        tells. Jobs on the way that could never have the memory they need are given up.

        Parameters
        ----------
        owner : str
            Token of this claim; use a new one for each, it fences off whoever had the job before.
        memory_limit_bytes : int, optional
            What the jobs under claims that begin like this one, up to the last ``/``, may take
            together.
        """
        while self._is_any_admitted(owner, memory_limit_bytes):
            now = self._now()
            with writing(self._engine) as session:
                row = session.scalar(_first_due(now).with_for_update(skip_locked=True))
                if row is None:
                    return None
                room = find_room(session, row, owner, memory_limit_bytes)
                if not room.is_enough and not room.is_hopeless:
                    row.error = room.tell()
                    note(session, row, WAIT, at=now, detail=row.error)
                    return None
                if row.error.startswith(WAITS):
                    row.error = ""
                row.attempts += 1
                row.stage = ""
                row.lease_owner = owner
                row.lease_until = now + self._lease
                move(session, row, JobEvent.CLAIM, at=now)
                if not room.is_hopeless:
                    return job_of(row)
                _give_up(session, row, room, at=now)
        return None

    def _is_any_admitted(self, owner: str, memory_limit_bytes: int | None) -> bool:
        """Whether there is something to do for a claim, found without taking the write lock."""
        with reading(self._engine) as session:
            row = session.scalar(_first_due(self._now()))
            if row is None:
                return False
            room = find_room(session, row, owner, memory_limit_bytes)
            return room.is_enough or room.is_hopeless or row.error != room.tell()

    def renew(self, job_id: str, owner: str) -> bool:
        """Prolong a lease; False when it was lost and the work should stop."""
        with writing(self._engine) as session:
            row = _held(session, job_id, owner)
            if row is None:
                return False
            row.lease_until = self._now() + self._lease
            return True

    def enter_stage(self, job_id: str, owner: str, stage: str) -> bool:
        """Record that a stage begins and renew the lease; False when it was lost."""
        now = self._now()
        with writing(self._engine) as session:
            row = _held(session, job_id, owner)
            if row is None:
                return False
            row.stage = stage
            row.updated_at = now
            row.lease_until = now + self._lease
            note(session, row, STAGE, at=now)
            return True

    def finish(
        self,
        job_id: str,
        owner: str,
        *,
        evidence: Sequence[Evidence],
        result: Mapping[str, Any],
        goes_to: GoesTo = lambda _destination, _item: True,
    ) -> Job:
        """Record results and what is to be sent, in one transaction.

        Objects that a destination has accepted before are not sent again. An owner that lost the
        lease changes nothing and gets the job as it is. ``goes_to`` keeps from a destination what
        is not for it.
        """
        now = self._now()
        with writing(self._engine) as session:
            row = _held(session, job_id, owner)
            if row is None:
                return job_of(locked_job(session, job_id))
            row.result = dict(result)
            row.error = ""
            row.problems = []
            is_open = self._enqueue(session, row, evidence, at=now, goes_to=goes_to)
            move(session, row, JobEvent.FINISH if is_open else JobEvent.FINISH_EMPTY, at=now)
            return job_of(row)

    def fail(
        self,
        job_id: str,
        owner: str,
        *,
        error: str,
        retry: bool,
        problems: Sequence[Problem] = (),
    ) -> Job:
        """Record a failed attempt: due again after a back-off, or given up.

        Parameters
        ----------
        job_id : str
        owner : str
            Nothing happens when it lost the lease.
        error : str
            Never patient text.
        retry : bool
            False gives up at once; True after ``maximum_attempts`` only.
        problems : sequence of Problem, optional
        """
        again = JobEvent.TRY_AGAIN if retry else JobEvent.GIVE_UP
        return self._end_attempt(job_id, owner, again, error=error, problems=problems)

    def postpone(self, job_id: str, owner: str, *, error: str) -> Job:
        """Put a job back since something outside is missing; this does not count as an attempt."""
        return self._end_attempt(job_id, owner, JobEvent.POSTPONE, error=error)

    def reject(self, job_id: str, owner: str, *, problems: Sequence[Problem]) -> Job:
        """Record that the input can never be processed as it is."""
        error = summarize(problems)
        return self._end_attempt(job_id, owner, JobEvent.REJECT, error=error, problems=problems)

    def reclaim_lapsed(self) -> int:
        """Queue every running job whose lease lapsed; return how many there were."""
        lapsed = JobRow.lease_until < self._now()
        return self._lapse(lapsed, reason="the lease lapsed")

    def release_leases(self, prefix: str, *, only_unstarted: bool = False) -> int:
        """Queue the running jobs of owners that are known to be gone, without waiting.

        Parameters
        ----------
        prefix : str
            Beginning of the owners' tokens.
        only_unstarted : bool
            Leave jobs alone that entered a stage: their worker may live on.
        """
        condition = JobRow.lease_owner.startswith(prefix, autoescape=True)
        if only_unstarted:
            condition &= JobRow.stage == ""
        return self._lapse(condition, reason="its owner is gone", have_waited=only_unstarted)

    def _end_attempt(
        self,
        job_id: str,
        owner: str,
        event: JobEvent,
        *,
        error: str,
        problems: Sequence[Problem] = (),
    ) -> Job:
        now = self._now()
        with writing(self._engine) as session:
            row = _held(session, job_id, owner)
            if row is None:
                return job_of(locked_job(session, job_id))
            row.error = as_stored(error)
            row.problems = [asdict(problem) for problem in problems]
            if event is JobEvent.TRY_AGAIN and row.attempts >= self._maximum_claims:
                event = JobEvent.GIVE_UP
            if event is JobEvent.TRY_AGAIN:
                row.not_before = now + self._job_backoff.delay(row.attempts, self._generator)
            if event is JobEvent.POSTPONE:
                row.attempts -= 1
                row.postponements += 1
                row.not_before = now + self._job_backoff.delay(row.postponements, self._generator)
            move(session, row, event, at=now, detail=error)
            return job_of(row)

    def _lapse(
        self, condition: ColumnElement[bool], *, reason: str, have_waited: bool = False
    ) -> int:
        """Queue running jobs again, but give up those that outlived every attempt.

        A job that kills its worker never fails by itself: only the count of claims ends it. One
        that has only waited in the engine tried nothing: restarts must not use its claims up.
        """
        now = self._now()
        query = select(JobRow).where(JobRow.state == JobState.RUNNING.value, condition)
        with writing(self._engine) as session:
            rows = session.scalars(query.with_for_update(skip_locked=True)).all()
            for row in rows:
                log.warning("job.lapsed", job_id=row.job_id, owner=row.lease_owner, reason=reason)
                after_s = (now - row.updated_at).total_seconds()  # since it entered the stage
                stage = f"in stage {row.stage}" if row.stage else "before its first stage"
                row.error = f"its worker was lost {stage}, after {after_s:.0f} s: {reason}"
                row.not_before = now
                row.attempts -= have_waited
                is_last = row.attempts >= self._maximum_claims
                event = JobEvent.GIVE_UP if is_last else JobEvent.LAPSE
                move(session, row, event, at=now, detail=row.error)
            return len(rows)


def _first_due(now: datetime) -> Select[JobRow]:
    return (
        select(JobRow)
        .where(JobRow.state == JobState.QUEUED.value, JobRow.not_before <= now)
        .order_by(JobRow.queue_place, JobRow.created_at, JobRow.job_id)
        .limit(1)
    )


def _give_up(session: Session, row: JobRow, room: Room, *, at: datetime) -> None:
    problem = room.problem(row.study_instance_uid)
    row.error = f"{problem.code}: {problem.found}; expected {problem.expected}"
    row.problems = [asdict(problem)]
    move(session, row, JobEvent.GIVE_UP, at=at, detail=row.error)


def _held(session: Session, job_id: str, owner: str) -> JobRow | None:
    """Lock a job and return it if the owner still holds its lease."""
    row = locked_job(session, job_id)
    if row.state == JobState.RUNNING and row.lease_owner == owner:
        return row
    log.warning("job.lease_lost", job_id=job_id, owner=owner, state=row.state)
    return None


def summarize(problems: Sequence[Problem]) -> str:
    """Return the codes of problems in one line, each once, in order."""
    return ", ".join(dict.fromkeys(problem.code for problem in problems))
