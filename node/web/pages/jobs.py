"""Jobs: the list, one job with its history, and what an operator may do."""

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from node.jobs.listing import JobSearch, search_jobs
from node.jobs.state import JobState
from node.web.languages import texts_of
from node.web.navigation import Entry, mark
from node.web.rendering import render
from node.web.services import services_of
from node.web.words import event_words, own_path, step_words
from node.web.work import Deed, do, find_job, possible_deeds

router = APIRouter()
ENTRY = Entry(path="/jobs", title=mark("Jobs"))
PAGE = 50

Key = Annotated[str, Query(max_length=64)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


@router.get("/jobs")
def list_jobs(
    request: Request,
    state: Key = "",
    text: Key = "",
    sender: Key = "",
    offset: Offset = 0,
) -> Response:
    """List the jobs that match, the latest first."""
    known = state if state in list(JobState) else ""
    search = JobSearch(
        state=JobState(known) if known else None, text=text.strip(), sender=sender.strip()
    )
    jobs, total = search_jobs(services_of(request).engine, search, limit=PAGE, offset=offset)
    return render(
        request,
        "jobs.html",
        jobs=jobs,
        total=total,
        offset=offset,
        page=PAGE,
        search={"state": known, "text": text, "sender": sender},
        states=list(JobState),
        words=step_words(request),
        deeds=possible_deeds,
    )


@router.get("/jobs/{job_id}")
def show_job(request: Request, job_id: str) -> Response:
    """Show a job with its history and its deliveries."""
    job = find_job(request, job_id)
    ledger = services_of(request).ledger
    return render(
        request,
        "job.html",
        job=job,
        events=ledger.events(job_id),
        deliveries=ledger.deliveries(job_id),
        words=step_words(request),
        event_words=event_words(texts_of(request)),
        deeds=possible_deeds,
    )


@router.post("/jobs/{job_id}/{deed}")
def change_job(
    request: Request, job_id: str, deed: Deed, back: Annotated[str, Form(max_length=512)] = "/jobs"
) -> Response:
    """Retry, cancel or send again; htmx gets the changed row, a form without it the page again."""
    job = do(request, deed, job_id)
    if request.headers.get("hx-request"):
        return render(
            request, "job_row.html", job=job, words=step_words(request), deeds=possible_deeds
        )
    return RedirectResponse(own_path(back), 303)
