"""The page of one study: what happened to it, what was found, and what a person says of it."""

import json
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from node.domain.errors import InputRejected, SetupFault
from node.domain.feedback import FeedbackKind, FeedbackSource, Opinion
from node.jobs.job import Job
from node.jobs.state import IllegalTransition
from node.storage.feedback import FeedbackStore
from node.web.auditing import tell_changed, tell_images_sent, tell_viewed
from node.web.faults import PageFault
from node.web.identities import show_date, show_name
from node.web.imaging.shelf import Shelf
from node.web.imaging.stack import Stack, open_stack
from node.web.languages import texts_of
from node.web.pages.studies import identities_of
from node.web.rendering import render
from node.web.services import Services, services_of
from node.web.study_view import CLASSES, StudyView, find_job, view_study
from node.web.visitor import visitor_of

router = APIRouter(prefix="/studies/{study}")

HX_REFRESH = {"HX-Refresh": "true"}
VERDICTS = (FeedbackKind.AGREE, FeedbackKind.DISAGREE, FeedbackKind.CORRECTED_CLASS)
Text = Annotated[str, Form(max_length=2000)]


@router.get("")
def show_study(request: Request, study: str, job: str = "") -> Response:
    """Show a study with one of its jobs."""
    view = _view(request, study, job)
    tell_viewed(request, study)
    return render(
        request,
        "study.html",
        view=view,
        classes=CLASSES,
        show_name=show_name,
        show_date=show_date,
    )


@router.get("/progress")
def show_progress(request: Request, study: str, job: str = "") -> Response:
    """Show how far a study is; once it is at rest the whole page is to be loaded."""
    view = _view(request, study, job)
    headers = {} if view.goes_on else HX_REFRESH
    answer = render(request, "study_progress.html", view=view)
    answer.headers.update(headers)
    return answer


@router.post("/jobs/{job_id}/retry")
def retry(request: Request, study: str, job_id: str) -> Response:
    """Do a failed, rejected or cancelled job again."""
    return _act(request, study, job_id, "retry")


@router.post("/jobs/{job_id}/send-again")
def send_again(request: Request, study: str, job_id: str) -> Response:
    """Send the results of a delivered job again."""
    return _act(request, study, job_id, "send_again")


@router.post("/jobs/{job_id}/cancel")
def cancel(request: Request, study: str, job_id: str) -> Response:
    """Stop a job."""
    return _act(request, study, job_id, "cancel")


@router.post("/jobs/{job_id}/feedback")
def keep_opinion(
    request: Request,
    study: str,
    job_id: str,
    *,
    lesion: Annotated[int, Form(ge=1)],
    verdict: Text,
    corrected: Text = "",
    comment: Text = "",
) -> Response:
    """Keep what a reader says of a lesion."""
    services = services_of(request)
    job = _job(request, study, job_id)
    told = next((each for each in job.result.get("lesions", ()) if each["number"] == lesion), None)
    if told is None or verdict not in VERDICTS:
        raise PageFault(HTTPStatus.UNPROCESSABLE_ENTITY)
    kind, before, after = FeedbackKind(verdict), str(told["assessment"]), ""
    if kind is FeedbackKind.CORRECTED_CLASS:
        before, after = _correction(request, told, corrected)
    bundle = job.result.get("bundle") or {}
    opinion = Opinion(
        kind=kind,
        source=FeedbackSource.WEB,
        study_instance_uid=study,
        job_id=job_id,
        bundle=job.bundle,
        bundle_digest=bundle.get("digest", ""),
        author=visitor_of(request).name,
        at=services.now(),
        tracking_uid=told["tracking_uid"],
        comment=comment.strip(),
        class_before=before,
        class_after=after,
        malignancy_probability=told.get("malignancy_probability"),
    )
    FeedbackStore(services.engine).add(opinion)
    tell_changed(request, study, f"feedback on lesion {lesion}: {kind.value}")
    return _back(study, job_id, f"#lesion-{lesion}")


@router.get("/jobs/{job_id}/stack")
def describe_stack(request: Request, study: str, job_id: str) -> Response:
    """Tell what the viewer has to know before the first slice."""
    stack = _stack(request, study, job_id)
    tell_viewed(request, study)
    geometry = stack.series.geometry
    assert geometry is not None
    rows, columns = stack.screen_shape
    told = {
        "slices": len(stack),
        "rows": rows,
        "columns": columns,
        "row_mm": stack.view.row_mm,
        "column_mm": stack.view.column_mm,
        "spacing_mm": geometry.spacing_mm[0],
        "modality": stack.series.modality,
        "letters": stack.view.letters(),
        "windows": stack.windows,
        "lesions": [vars(lesion) for lesion in stack.lesions],
    }
    return _json(told)


@router.get("/jobs/{job_id}/outlines")
def describe_outlines(request: Request, study: str, job_id: str) -> Response:
    """Tell the outlines of every slice that has any."""
    stack = _stack(request, study, job_id)
    tell_images_sent(request, study)
    return _json({str(k): stack.outlines(k) for k in stack.labels})


@router.get("/jobs/{job_id}/slices/{k}")
def send_slice(request: Request, study: str, job_id: str, k: int) -> Response:
    """Send the values of a slice."""
    job = _job(request, study, job_id)
    try:
        encoded = shelf_of(request).slice(job, k)
    except IndexError:
        raise PageFault(HTTPStatus.NOT_FOUND) from None
    except InputRejected as rejected:
        raise PageFault(HTTPStatus.GONE, str(rejected.problems[0])) from rejected
    tell_images_sent(request, study)
    headers = {
        "Content-Encoding": "gzip",
        "X-Values": encoded.kind,
        "X-Rows": str(encoded.rows),
        "X-Columns": str(encoded.columns),
    }
    return Response(encoded.content, media_type="application/octet-stream", headers=headers)


def shelf_of(request: Request) -> Shelf:
    """Return the stacks that readers of the application look at."""
    state = request.app.state
    if not hasattr(state, "shelf"):
        services = services_of(request)
        state.shelf = Shelf(lambda job: _open(services, job))
    found = state.shelf
    assert isinstance(found, Shelf)
    return found


def _open(services: Services, job: Job) -> Stack:
    try:
        region = services.models.manifest(job.bundle).anatomic_region.value
    except SetupFault:  # the bundle is gone; its results are not
        region = ""
    return open_stack(job, store=services.store, spool=services.spool, region_code=region)


def _view(request: Request, study: str, job: str) -> StudyView:
    view = view_study(
        study, services=services_of(request), identities=identities_of(request), job_id=job
    )
    if view is None:
        raise PageFault(HTTPStatus.NOT_FOUND)
    return view


def _job(request: Request, study: str, job_id: str) -> Job:
    try:
        return find_job(services_of(request), study, job_id)
    except KeyError:
        raise PageFault(HTTPStatus.NOT_FOUND) from None


def _stack(request: Request, study: str, job_id: str) -> Stack:
    job = _job(request, study, job_id)
    try:
        return shelf_of(request).stack(job)
    except InputRejected as rejected:
        raise PageFault(HTTPStatus.GONE, str(rejected.problems[0])) from rejected


def _act(request: Request, study: str, job_id: str, action: str) -> Response:
    job = _job(request, study, job_id)
    _ = texts_of(request).gettext
    try:
        getattr(services_of(request).ledger, action)(job.job_id)
    except IllegalTransition:
        told = _("Its state has changed: this cannot be done to it now.")
        raise PageFault(HTTPStatus.CONFLICT, told) from None
    except FileNotFoundError:
        told = _("The files of the result were purged: have the study sent again.")
        raise PageFault(HTTPStatus.CONFLICT, told) from None
    tell_changed(request, study, f"{action.replace('_', ' ')} of job {job.job_id[:12]}")
    return _back(study, job_id)


def _correction(request: Request, told: dict[str, object], corrected: str) -> tuple[str, str]:
    """Return what the node said and what the reader says instead, both of one kind of class."""
    kind, _, name = corrected.partition(":")
    types = told.get("type_probabilities")
    if kind == "assessment" and name in CLASSES:
        return str(told["assessment"]), name
    if kind == "type" and isinstance(types, dict) and name in types:
        return str(told["predicted_type"]), name
    said = texts_of(request).gettext("Say which class it is.")
    raise PageFault(HTTPStatus.UNPROCESSABLE_ENTITY, said)


def _back(study: str, job_id: str, anchor: str = "") -> Response:
    return RedirectResponse(f"/studies/{study}?job={job_id}{anchor}", HTTPStatus.SEE_OTHER)


def _json(value: object) -> Response:
    """Return JSON; also keys that are numbers."""
    return Response(json.dumps(value, allow_nan=False), media_type="application/json")
