"""The ledger of jobs: the only truth about work, whatever becomes of processes and of Dask."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.domain.errors import Problem
from node.domain.intake import DocumentRef, Intake
from node.domain.priority import Priority, place_in_queue
from node.domain.report import EvidenceKind
from node.jobs.claims import Claims, summarize
from node.jobs.finished import has_unsettled_delivery
from node.jobs.job import IN_PEER, Job, JobEventRow
from node.jobs.rejected import reason_of_rejection
from node.jobs.rows import event_of_line, job_of, last_event, locked_job, move, note
from node.jobs.state import FINISHED, IllegalTransition, JobEvent, JobState, begin
from node.jobs.superseding import reason_of_superseding
from node.storage.database import reading, writing
from node.storage.tables import DeliveryRow, JobDeliveryRow, JobEventLine, JobRow

log = structlog.get_logger()

Jobs = list[Job]
Events = list[JobEventRow]


class Ledger(Claims):
    """Jobs, their history and their deliveries; see ``Claims`` for the parameters."""

    def add_job(
        self,
        *,
        study_instance_uid: str,
        series_instance_uids: Sequence[str],
        bundle: str,
        rule: str,
        destinations: Sequence[str],
        calling_ae_title: str,
        content_digest: str,
        intake: Intake | None = None,
        priority: Priority = Priority.ROUTINE,
        memory_bytes: int = 0,
    ) -> Job:
        """Add work, or return the job that is the same work.

        Unfinished jobs for the same series, bundle and rule but an earlier content are
        cancelled: objects that came late would otherwise give two results for one series.
        Where an earlier job of study and bundle has made its report, that is the predecessor.
        """
        row = self._new_row(
            JobEvent.ADD,
            study_instance_uid=study_instance_uid,
            series_instance_uids=list(series_instance_uids),
            bundle=bundle,
            rule=rule,
            destinations=list(destinations),
            calling_ae_title=calling_ae_title,
            content_digest=content_digest,
            intake=(intake or Intake()).to_json(),
            priority=priority.value,
            memory_bytes=memory_bytes,
        )
        return self._insert(row, JobEvent.ADD)

    def add_rejected(
        self,
        *,
        study_instance_uid: str,
        calling_ae_title: str,
        content_digest: str,
        problems: Sequence[Problem],
        rule: str = "",
        bundle: str = "",
    ) -> Job:
        """Record that nothing can be done with a study, and why; idempotent as ``add_job``."""
        row = self._new_row(
            JobEvent.REFUSE,
            study_instance_uid=study_instance_uid,
            bundle=bundle,
            rule=rule,
            calling_ae_title=calling_ae_title,
            content_digest=content_digest,
            error=summarize(problems),
            problems=[asdict(problem) for problem in problems],
        )
        return self._insert(row, JobEvent.REFUSE)

    def retry(self, job_id: str) -> Job:
        """Do a failed, rejected or cancelled job again; only send again where that is enough.

        Raises
        ------
        KeyError
            There is no such job.
        IllegalTransition
            The job is not at rest, was delivered, or names no series to process.
        """
        now = self._now()
        with writing(self._engine) as session:
            row = locked_job(session, job_id)
            if not row.series_instance_uids:
                raise IllegalTransition(JobState(row.state), JobEvent.RETRY)
            given_up_sending = last_event(session, job_id) == JobEvent.SEND_FAILED
            if given_up_sending and self._resend(session, job_id, at=now):
                row.error = ""
                move(session, row, JobEvent.RESEND, at=now)
            else:
                row.attempts = row.postponements = 0
                row.not_before = now
                row.queue_place = place_in_queue(Priority(row.priority or "routine"), now)
                row.error = ""
                row.problems = []
                move(session, row, JobEvent.RETRY, at=now)
            return job_of(row)

    def send_again(self, job_id: str) -> Job:
        """Send the results of a delivered job again, although its destinations had taken them.

        Other jobs that wait for the same objects wait for them again. What was rejected stays out,
        as do messages that a later evaluation has taken the place of.

        Raises
        ------
        KeyError
            There is no such job.
        IllegalTransition
            The job is not delivered, or has nothing to send.
        FileNotFoundError
            A result was purged.
        """
        now = self._now()
        with writing(self._engine) as session:
            job = locked_job(session, job_id)
            rows = [
                row
                for row in self._linked(session, job_id)
                if row.state in IN_PEER
                and not reason_of_rejection(session, row.sop_instance_uid)
                and not reason_of_superseding(session, job, row.destination, row.kind)
            ]
            if job.state != JobState.DELIVERED or not rows:
                raise IllegalTransition(JobState(job.state), JobEvent.RESEND)
            for row in rows:
                if not Path(row.path).is_file():
                    raise FileNotFoundError(row.sop_instance_uid)
            self._reopen_delivered(session, rows, at=now)
            return job_of(job)

    def cancel(self, job_id: str, *, reason: str = "cancelled by a person") -> Job:
        """Stop a job that is not finished; deliveries already accepted stay where they are.

        Raises
        ------
        KeyError
            There is no such job.
        IllegalTransition
            The job is finished.
        """
        with writing(self._engine) as session:
            row = locked_job(session, job_id)
            self._cancel(session, row, reason=reason)
            return job_of(row)

    def get(self, job_id: str) -> Job:
        """Return a job; KeyError when there is none of that name."""
        with reading(self._engine) as session:
            row = session.get(JobRow, job_id)
            if row is None:
                raise KeyError(job_id)
            return job_of(row)

    def events(self, job_id: str) -> Events:
        """Return the history of a job, oldest line first."""
        query = select(JobEventLine).where(JobEventLine.job_id == job_id)
        with reading(self._engine) as session:
            lines = session.scalars(query.order_by(JobEventLine.event_id))
            return [event_of_line(line) for line in lines]

    def list(
        self, *, state: JobState | None = None, study: str | None = None, limit: int = 100
    ) -> Jobs:
        """Return jobs, latest first, of one state or one study where asked."""
        query = select(JobRow).order_by(JobRow.created_at.desc(), JobRow.job_id).limit(limit)
        if state is not None:
            query = query.where(JobRow.state == state.value)
        if study is not None:
            query = query.where(JobRow.study_instance_uid == study)
        with reading(self._engine) as session:
            return [job_of(row) for row in session.scalars(query)]

    def sent_among(self, sop_instance_uids: Iterable[str]) -> frozenset[str]:
        """Return which objects are results of this node that were sent, or are to be."""
        wanted = list(sop_instance_uids)
        found: set[str] = set()
        with reading(self._engine) as session:
            for start in range(0, len(wanted), 500):  # SQLite bounds the parameters of a statement
                query = select(DeliveryRow.sop_instance_uid).where(
                    DeliveryRow.sop_instance_uid.in_(wanted[start : start + 500])
                )
                found.update(session.scalars(query))
        return frozenset(found)

    def results_of(self, study_instance_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs of all that was made of a study, to be sent or sent."""
        query = (
            select(DeliveryRow.sop_instance_uid)
            .join(JobDeliveryRow, JobDeliveryRow.delivery_id == DeliveryRow.delivery_id)
            .join(JobRow, JobRow.job_id == JobDeliveryRow.job_id)
            .where(JobRow.study_instance_uid == study_instance_uid)
        )
        with reading(self._engine) as session:
            return frozenset(session.scalars(query))

    def finished_before(self, before: datetime) -> Jobs:
        """Return the jobs that came to rest before a moment: their files may be purged.

        Not those whose results a destination may still turn out to have lost.
        """
        query = select(JobRow).where(
            JobRow.state.in_([state.value for state in FINISHED]),
            JobRow.updated_at < before,
            ~self._awaits_proof(),
        )
        with reading(self._engine) as session:
            return [job_of(row) for row in session.scalars(query.order_by(JobRow.updated_at))]

    def forget(self, job_id: str, *, unchanged_since: datetime | None = None) -> None:
        """Remove a finished job and all that only it needs; its files go afterwards.

        Parameters
        ----------
        job_id : str
        unchanged_since : datetime, optional
            ``updated_at`` of the job as it was looked at.

        Raises
        ------
        KeyError
            There is no such job.
        ValueError
            The job is not finished, or something became of it since.
        """
        with writing(self._engine) as session:
            job = locked_job(session, job_id)
            if unchanged_since is not None and job.updated_at != unchanged_since:
                raise ValueError(f"job {job_id} has changed meanwhile")
            if job.state not in FINISHED:
                raise ValueError(f"job {job_id} is {job.state}, it cannot be forgotten")
            if unchanged_since is not None and session.scalar(has_unsettled_delivery(job_id)):
                raise ValueError(f"job {job_id} has something to be sent meanwhile")
            for table in (JobEventLine, JobDeliveryRow):
                session.execute(delete(table).where(table.job_id == job_id))
            for row in session.scalars(select(DeliveryRow).where(DeliveryRow.job_id == job_id)):
                heir = session.scalar(
                    select(JobDeliveryRow.job_id).where(
                        JobDeliveryRow.delivery_id == row.delivery_id
                    )
                )
                if heir is None:
                    self._forget_proof(session, row.delivery_id)
                    session.delete(row)
                else:
                    row.job_id = heir
            session.flush()
            session.delete(job)

    def _insert(self, row: JobRow, event: JobEvent) -> Job:
        try:
            with writing(self._engine) as session:
                known = session.get(JobRow, row.job_id)
                if known is not None:
                    return job_of(known)
                if event is JobEvent.ADD:
                    self._replace_earlier(session, row)
                    _name_predecessor(session, row)
                session.add(row)
                session.flush()
                note(session, row, event, at=row.created_at, detail=row.error)
                log.info("job.added", **job_of(row).log_context(), state=row.state)
                return job_of(row)
        except IntegrityError:  # PostgreSQL: another process added the same work just now
            return self.get(row.job_id)

    def _replace_earlier(self, session: Session, row: JobRow) -> None:
        """Cancel unfinished work on an earlier content of the same series."""
        query = select(JobRow).where(
            JobRow.study_instance_uid == row.study_instance_uid,
            JobRow.bundle == row.bundle,
            JobRow.rule == row.rule,
            JobRow.state.in_([JobState.QUEUED.value, JobState.RUNNING.value]),
        )
        for earlier in session.scalars(query.order_by(JobRow.job_id).with_for_update()):
            if set(earlier.series_instance_uids) == set(row.series_instance_uids):
                self._cancel(session, earlier, reason=f"replaced by {row.job_id}")

    def _cancel(self, session: Session, row: JobRow, *, reason: str) -> None:
        move(session, row, JobEvent.CANCEL, at=self._now(), detail=reason)
        row.error = reason

    def _new_row(self, event: JobEvent, **columns: Any) -> JobRow:
        now = self._now()
        defaults: dict[str, Any] = {
            "series_instance_uids": [],
            "destinations": [],
            "error": "",
            "problems": [],
            "priority": Priority.ROUTINE.value,
            "memory_bytes": 0,
        }
        row = JobRow(
            state=begin(event).value,
            stage="",
            attempts=0,
            postponements=0,
            not_before=now,
            created_at=now,
            updated_at=now,
            lease_owner="",
            lease_until=None,
            result={},
            **(defaults | columns),
        )
        row.job_id = _job_id(row)
        row.queue_place = place_in_queue(Priority(row.priority or "routine"), now)
        return row


def _name_predecessor(session: Session, row: JobRow) -> None:
    """Note the report of the latest job on the same study that has made one."""
    query = select(JobRow).where(
        JobRow.study_instance_uid == row.study_instance_uid,
        JobRow.bundle == row.bundle,
        JobRow.state.in_([JobState.SENDING.value, JobState.DELIVERED.value]),
    )
    earlier = session.scalar(query.order_by(JobRow.created_at.desc(), JobRow.job_id).limit(1))
    for item in earlier.result.get("evidence", ()) if earlier else ():
        if item["kind"] == EvidenceKind.SR and item.get("series_instance_uid"):
            document = DocumentRef(
                study_instance_uid=row.study_instance_uid,
                series_instance_uid=item["series_instance_uid"],
                sop_class_uid=item["sop_class_uid"],
                sop_instance_uid=item["sop_instance_uid"],
            )
            row.intake = {**(row.intake or {}), "predecessor": asdict(document)}
            return


def _job_id(row: JobRow) -> str:
    identity = (row.study_instance_uid, row.content_digest, row.bundle, row.rule)
    return sha256("\0".join(identity).encode()).hexdigest()[:32]
