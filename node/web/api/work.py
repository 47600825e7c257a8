"""Jobs, studies and deliveries."""

from typing import Any

from fastapi import APIRouter, HTTPException, Request

from node.jobs.job import DeliveryState
from node.jobs.listing import JobSearch, search_deliveries, search_jobs
from node.jobs.state import JobState
from node.storage.study_list import find_study, list_studies
from node.web.api.forms import (
    DeliveryForm,
    DeliveryPage,
    EventForm,
    Fault,
    JobForm,
    JobId,
    JobPage,
    Limit,
    Offset,
    OneUid,
    PeerName,
    StudyForm,
    StudyPage,
    Title,
    Uid,
    WholeJobForm,
    WholeStudyForm,
)
from node.web.auditing import tell_viewed
from node.web.services import services_of
from node.web.work import Deed, do, find_job

router = APIRouter(tags=["work"])

Responses = dict[int | str, dict[str, Any]]
MISSING: Responses = {404: {"model": Fault}}
REFUSED: Responses = {404: {"model": Fault}, 409: {"model": Fault}}


@router.get("/jobs")
def jobs(  # noqa: PLR0917 - the parameters of a query
    request: Request,
    state: JobState | None = None,
    study: Uid = "",
    bundle: PeerName = "",
    sender: Title = "",
    limit: Limit = 50,
    offset: Offset = 0,
) -> JobPage:
    """Return the jobs that match, the latest first."""
    search = JobSearch(state=state, text=study, bundle=bundle, sender=sender)
    found, total = search_jobs(services_of(request).engine, search, limit=limit, offset=offset)
    items = [JobForm.model_validate(job) for job in found]
    return JobPage(total=total, limit=limit, offset=offset, items=items)


@router.get("/jobs/{job_id}", responses=MISSING)
def job(request: Request, job_id: JobId) -> WholeJobForm:
    """Return a job with its history, its deliveries and its result."""
    found = find_job(request, job_id)
    ledger = services_of(request).ledger
    tell_viewed(request, found.study_instance_uid)
    return WholeJobForm(
        job=JobForm.model_validate(found),
        events=[EventForm.model_validate(event) for event in ledger.events(job_id)],
        deliveries=[DeliveryForm.model_validate(each) for each in ledger.deliveries(job_id)],
        result=dict(found.result),
    )


@router.post("/jobs/{job_id}/{deed}", responses=REFUSED)
def change_job(request: Request, job_id: JobId, deed: Deed) -> JobForm:
    """Retry a job, cancel it, or send its results again."""
    return JobForm.model_validate(do(request, deed, job_id))


@router.get("/deliveries")
def deliveries(
    request: Request,
    state: DeliveryState | None = None,
    peer: PeerName = "",
    limit: Limit = 50,
    offset: Offset = 0,
) -> DeliveryPage:
    """Return the objects that were sent or are to be, the latest first."""
    found, total = search_deliveries(
        services_of(request).engine, state=state, peer=peer, limit=limit, offset=offset
    )
    items = [DeliveryForm.model_validate(each) for each in found]
    return DeliveryPage(total=total, limit=limit, offset=offset, items=items)


@router.get("/studies")
def studies(
    request: Request,
    uid: Uid = "",
    job_state: JobState | None = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> StudyPage:
    """Return the studies of which files are here, the latest received first."""
    found = list_studies(
        services_of(request).engine,
        uid=uid,
        job_state=job_state.value if job_state else "",
        limit=limit,
        offset=offset,
    )
    items = [StudyForm.model_validate(line) for line in found]
    return StudyPage(limit=limit, offset=offset, items=items)


@router.get("/studies/{uid}", responses=MISSING)
def study(request: Request, uid: OneUid) -> WholeStudyForm:
    """Return a study with its jobs."""
    services = services_of(request)
    line = find_study(services.engine, uid)
    if line is None:
        raise HTTPException(404, "there is no such study")
    own = [JobForm.model_validate(job) for job in services.ledger.list(study=uid, limit=500)]
    tell_viewed(request, uid)
    return WholeStudyForm(study=StudyForm.model_validate(line), jobs=own)
