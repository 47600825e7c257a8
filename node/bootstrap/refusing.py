"""What was wanted and cannot be evaluated is answered, too: by a report that says why."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import structlog

from node.bootstrap.parts import Parts
from node.bootstrap.planning import NotEvaluable, Wanted
from node.bootstrap.standing_in import keep_object
from node.dicom.damage import DAMAGED
from node.domain.errors import OncoNodeError, Problem, TryLater
from node.domain.report import EvidenceKind
from node.jobs.job import Job
from node.jobs.state import JobState
from node.report.fault import ReportFault
from node.storage.clock import utc_now

log = structlog.get_logger()

FOLDER = "not_evaluable"
"""Of the results of a rejected job."""
LOOK_EVERY = timedelta(minutes=1)
"""Also the time that whoever rejects a job has to tell of it."""
LATEST = timedelta(days=7)
SEARCHED = 1000


def tell_not_evaluable(parts: Parts, job: Job, rejected: NotEvaluable) -> bool:
    """Have the report sent to where the results would have gone.

    The report depends on images, reasons and bundle only: made again it is the same object, and a
    destination gets it once. What the node cannot report on, as headers are too damaged, stays
    a rejection with its reasons.

    Parameters
    ----------
    parts : Parts
    job : Job
        The rejected one; of a job in another state nothing is sent.
    rejected : NotEvaluable

    Returns
    -------
    bool
        False where the report cannot be made for now, as on a full disk.
    """
    destinations = destinations_of(parts, rejected.wanted)
    if not destinations or not rejected.wanted.instances:
        return True
    try:
        from node.report.not_evaluable import build_not_evaluable  # highdicom
        from node.report.sources import read_sources

        instances = rejected.wanted.instances
        made = build_not_evaluable(
            rejected.problems,
            read_sources(
                [each.path for each in instances], [each.sop_instance_uid for each in instances]
            ),
            model=parts.models.get(rejected.wanted.rule.bundle).identity,
            settings=parts.settings.node.report,
        )
        folder = parts.spool.results_dir(job.job_id) / FOLDER
        folder.mkdir(exist_ok=True)
        evidence = keep_object(parts.spool, made, EvidenceKind.SR, folder / "not_evaluable_sr.dcm")
    except (*DAMAGED, OncoNodeError, ReportFault) as error:
        log.warning("not_evaluable.untold", job_id=job.job_id, reason=type(error).__name__)
        return not isinstance(error, TryLater)
    if parts.ledger.tell_rejection(job.job_id, destinations=destinations, evidence=[evidence]):
        log.info(
            "not_evaluable.told",
            job_id=job.job_id,
            study_instance_uid=job.study_instance_uid,
            destinations=destinations,
            sop_instance_uid=evidence.sop_instance_uid,
        )
    return True


def tell_of_rejected(parts: Parts, job: Job, problems: Iterable[Problem]) -> bool:
    """Have the report of a rejected job sent; see ``tell_not_evaluable``."""
    rule = next((rule for rule in parts.settings.routing if rule.name == job.rule), None)
    if rule is None:
        return True
    instances = tuple(
        item.instance
        for item in parts.store.received_of(job.study_instance_uid)
        if item.series_instance_uid in job.series_instance_uids
    )
    return tell_not_evaluable(
        parts, job, NotEvaluable(problems, Wanted(rule=rule, instances=instances))
    )


class UntoldRejections:
    """Has reports made that a crash or a full disk kept from being made.

    A job is rejected first, and then its destinations are told.

    Parameters
    ----------
    parts : Parts
    now : callable
        Clock; aware UTC.
    """

    def __init__(self, parts: Parts, *, now: Callable[[], datetime] = utc_now) -> None:
        self._parts = parts
        self._now = now
        self._settled: set[str] = set()
        self._not_before = datetime.min.replace(tzinfo=UTC)

    def tick(self) -> int:
        """Look at the latest rejections; return how many are settled now."""
        now, ledger = self._now(), self._parts.ledger
        if now < self._not_before:
            return 0
        self._not_before = now + LOOK_EVERY
        count = 0
        jobs = ledger.list(state=JobState.REJECTED, limit=SEARCHED)
        self._settled &= {job.job_id for job in jobs}
        for job in jobs:
            age = now - job.updated_at
            if not job.rule:  # it was rejected before there was one, and told of at once
                continue
            if job.job_id in self._settled or not LOOK_EVERY <= age <= LATEST:
                continue
            if ledger.deliveries(job.job_id) or tell_of_rejected(self._parts, job, job.problems):
                self._settled.add(job.job_id)
                count += 1
        return count


def destinations_of(parts: Parts, wanted: Wanted) -> tuple[str, ...]:
    """Return the destinations of a rule that want to be told, and take objects."""
    told = {
        peer.name for peer in parts.settings.peers if peer.not_evaluable and not peer.takes_messages
    }
    return tuple(name for name in wanted.rule.destinations if name in told)
