"""What an operator may do with a job, the same from the page and from the JSON API."""

from collections.abc import Callable
from enum import StrEnum
from http import HTTPStatus

import structlog
from fastapi import Request

from node.jobs.job import Job
from node.jobs.state import IllegalTransition, JobState
from node.web.auditing import tell_changed
from node.web.faults import PageFault
from node.web.languages import texts_of
from node.web.services import services_of
from node.web.visitor import visitor_of

log = structlog.get_logger()

AT_REST = (JobState.FAILED, JobState.REJECTED, JobState.CANCELLED)
UNDER_WAY = (JobState.QUEUED, JobState.RUNNING, JobState.SENDING)


class Deed(StrEnum):
    """Something that an operator does with a job."""

    RETRY = "retry"  # do it again; only send again where that is enough
    CANCEL = "cancel"
    RESEND = "resend"  # send what was delivered once more


def possible_deeds(job: Job) -> tuple[Deed, ...]:
    """Return what can be done with a job as it is."""
    if job.state in AT_REST:
        return (Deed.RETRY,) if job.series_instance_uids else ()
    if job.state in UNDER_WAY:
        return (Deed.CANCEL,)
    return (Deed.RESEND,) if job.result.get("evidence") else ()


def do(request: Request, deed: Deed, job_id: str) -> Job:
    """Do it, and tell the audit trail.

    Raises
    ------
    PageFault
        There is no such job, or it cannot be done with a job in this state.
    """
    ledger = services_of(request).ledger
    acts: dict[Deed, Callable[[], Job]] = {
        Deed.RETRY: lambda: ledger.retry(job_id),
        Deed.CANCEL: lambda: ledger.cancel(job_id, reason=f"cancelled by {visitor.name}"),
        Deed.RESEND: lambda: ledger.send_again(job_id),
    }
    visitor = visitor_of(request)
    _ = texts_of(request).gettext
    try:
        job = acts[deed]()
    except KeyError:
        raise PageFault(HTTPStatus.NOT_FOUND, _("There is no such job.")) from None
    except IllegalTransition:
        told = _("That is not possible with a job in this state.")
        raise PageFault(HTTPStatus.CONFLICT, told) from None
    except FileNotFoundError:
        told = _("The files of these results are not kept any more.")
        raise PageFault(HTTPStatus.CONFLICT, told) from None
    log.info(f"web.{deed.value}", **job.log_context(), user=visitor.name)
    tell_changed(request, job.study_instance_uid, f"{deed.value} of job {job_id}")
    return job


def find_job(request: Request, job_id: str) -> Job:
    """Return a job; PageFault if there is none."""
    try:
        return services_of(request).ledger.get(job_id)
    except KeyError:
        _ = texts_of(request).gettext
        raise PageFault(HTTPStatus.NOT_FOUND, _("There is no such job.")) from None
