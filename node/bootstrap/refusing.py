"""What was wanted and cannot be evaluated is answered, too: by a report that says why."""

import structlog

from node.bootstrap.parts import Parts
from node.bootstrap.planning import NotEvaluable, Wanted
from node.bootstrap.standing_in import keep_object
from node.dicom.damage import DAMAGED
from node.domain.errors import OncoNodeError
from node.domain.report import EvidenceKind
from node.jobs.job import Job
from node.report.fault import ReportFault

log = structlog.get_logger()

FOLDER = "not_evaluable"
"""Of the results of a rejected job."""


def tell_not_evaluable(parts: Parts, job: Job, rejected: NotEvaluable) -> None:
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
    """
    destinations = destinations_of(parts, rejected.wanted)
    if not destinations or not rejected.wanted.instances:
        return
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
        return
    if parts.ledger.tell_rejection(job.job_id, destinations=destinations, evidence=[evidence]):
        log.info(
            "not_evaluable.told",
            job_id=job.job_id,
            study_instance_uid=job.study_instance_uid,
            destinations=destinations,
            sop_instance_uid=evidence.sop_instance_uid,
        )


def destinations_of(parts: Parts, wanted: Wanted) -> tuple[str, ...]:
    """Return the destinations of a rule that want to be told, and take objects."""
    told = {
        peer.name for peer in parts.settings.peers if peer.not_evaluable and not peer.takes_messages
    }
    return tuple(name for name in wanted.rule.destinations if name in told)
