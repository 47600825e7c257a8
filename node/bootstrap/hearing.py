"""What people say of results: found among what was received, kept, and asked for in archives."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.exc import DataError

from node.assemble.headers import read_header
from node.bootstrap.parts import Parts
from node.dicom.damage import DAMAGED
from node.domain.errors import OncoNodeError, TryLater
from node.domain.feedback import RETENTION_EXPIRED, FeedbackKind
from node.domain.study import InstanceRef
from node.feedback.hear import SOURCES, Heard, Outcome, hear
from node.feedback.own_results import OwnResult, read_own_result
from node.jobs.failure import describe_bug
from node.jobs.job import Job
from node.jobs.state import JobState
from node.storage.clock import utc_now
from node.storage.heard import Candidate

log = structlog.get_logger()

OVERLAP = timedelta(seconds=90)
"""Rows of other processes may be written a little later than the time that they bear."""
WITH_RESULT = frozenset({JobState.SENDING, JobState.DELIVERED, JobState.FAILED, JobState.REJECTED})
"""States of jobs that may have made something; a rejected one a report that says why."""


class Hearing:
    """Reads each received object that may say something of a result, once for each result.

    Everything is looked at again when the node starts, and then what has changed since. What
    cannot be read now holds up no other, and is read at a later tick.

    Parameters
    ----------
    parts : Parts
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, parts: Parts, *, now: Callable[[], datetime] = utc_now) -> None:
        self._parts = parts
        self._now = now
        self._since = datetime.min.replace(tzinfo=UTC) + OVERLAP
        self._put_off = False

    def tick(self) -> int:
        """Read what is new; return how many opinions were added.

        Raises
        ------
        SQLAlchemyError, OSError
            When nothing can be kept now; the next tick begins where this one did.
        """
        if not self._parts.settings.node.feedback.enabled:
            return 0
        now = self._now()
        studies = self._parts.heard.studies_since(self._since - OVERLAP, SOURCES)
        self._put_off = False
        added = sum(self._look_at(study) for study in studies)
        if not self._put_off:
            self._since = now
        return added

    def _look_at(self, study: str) -> int:
        candidates = self._parts.heard.candidates(study, SOURCES)
        if not candidates:
            return 0
        heard = self._parts.heard.heard(study)
        added = 0
        for job in self._parts.ledger.list(study=study):
            if job.state not in WITH_RESULT:
                continue
            unheard = [
                each
                for each in candidates
                if (each.received.instance.sop_instance_uid, job.job_id) not in heard
            ]
            if not unheard:
                continue
            try:
                result = self._result_of(job)
            except TryLater as error:
                self._put_off = True
                log.warning("feedback.put_off", job_id=job.job_id, error=str(error))
                continue
            if result is not None:
                added += sum(self._hear(each, result) for each in unheard)
        return added

    def _hear(self, candidate: Candidate, result: OwnResult) -> int:
        instance = candidate.received.instance
        said = self._read(candidate, result)
        if said is None:
            return 0
        try:
            added = self._keep(instance, said)
        except DataError as error:  # one object must not keep the others from being heard
            log.error("feedback.not_kept", job_id=result.job_id, error=type(error).__name__)
            said, added = Heard(outcome=Outcome.UNREADABLE, fault="not to be kept"), 0
        if said.outcome is not Outcome.OWN:
            log.info(
                "feedback.heard",
                study_instance_uid=result.study_instance_uid,
                job_id=result.job_id,
                sop_instance_uid=instance.sop_instance_uid,
                outcome=said.outcome.value,
                opinions=len(said.opinions),
                added=added,
                fault=said.fault,
            )
        self._parts.heard.note(
            study_instance_uid=result.study_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
            job_id=result.job_id,
            outcome=said.outcome.value,
        )
        return added

    def _read(self, candidate: Candidate, result: OwnResult) -> Heard | None:
        """Read what an object says; None if that has to be tried again."""
        instance = candidate.received.instance
        try:
            return hear(
                instance,
                result,
                device_uids=self._parts.models.device_uids(),
                received_at=candidate.received_at,
            )
        except OncoNodeError as error:
            self._put_off = True
            log.warning("feedback.put_off", job_id=result.job_id, error=str(error))
            return None
        except Exception as error:  # noqa: BLE001 - one object must not keep the others from being read
            log.error("feedback.tripped", job_id=result.job_id, error=describe_bug(error))
            return Heard(outcome=Outcome.UNREADABLE, fault="bug")

    def _keep(self, instance: InstanceRef, said: Heard) -> int:
        """Keep opinions with a copy of their object; what is rejected is sent no more."""
        if not said.opinions:
            return 0
        place = self._parts.spool.feedback_path(instance.sop_instance_uid)
        if not place.exists():
            incoming = self._parts.spool.begin()
            try:
                incoming.write(instance.path.read_bytes())
                self._parts.spool.keep(incoming, place)
            finally:
                self._parts.spool.discard(incoming)
        added = [self._parts.feedback.add(opinion) for opinion in said.opinions]
        rejected = [
            each
            for each in said.opinions
            if each.kind is FeedbackKind.REJECTION and each.comment != str(RETENTION_EXPIRED)
        ]
        if rejected:
            uids = [each.result_sop_instance_uid for each in rejected]
            self._parts.ledger.withdraw(uids, reason=f"rejected: {rejected[0].comment}")
        return sum(each.is_new for each in added)

    def _result_of(self, job: Job) -> OwnResult | None:
        return read_own_result(
            job, self._parts.ledger.deliveries(job.job_id), _frames_of(self._parts, job)
        )


def _frames_of(parts: Parts, job: Job) -> Sequence[str]:
    """Frames of reference of the images of a job; of its SEG where those are gone or damaged.

    Raises
    ------
    TryLater
        If a file cannot be read for now.
    """
    samples = {
        each.series_instance_uid: each.instance
        for each in parts.store.received_of(job.study_instance_uid)
        if each.series_instance_uid in job.series_instance_uids
    }
    frames = _read_frames(samples.values(), job)
    if frames:
        return frames
    results = [
        InstanceRef(
            sop_instance_uid=each.sop_instance_uid,
            sop_class_uid=each.sop_class_uid,
            transfer_syntax_uid="",
            path=each.path,
            sha256="",
        )
        for each in parts.ledger.deliveries(job.job_id)
        if each.path.is_file()
    ]
    return _read_frames(results, job)


def _read_frames(sources: Iterable[InstanceRef], job: Job) -> list[str]:
    frames = []
    for source in sources:
        try:
            frame = read_header(source).attributes.get("FrameOfReferenceUID", "")
        except TryLater:
            raise
        except (OncoNodeError, *DAMAGED) as fault:
            log.warning("feedback.no_frame", job_id=job.job_id, error=type(fault).__name__)
            continue
        if frame:
            frames.append(frame)
    return frames
