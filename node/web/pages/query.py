"""Find a study in an archive, and have it sent here."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from starlette.responses import Response

from node.config.settings import Peer
from node.domain.errors import OncoNodeError
from node.domain.role import Role
from node.query.found import StudyFound, StudyKeys, Wanted
from node.storage.spool import is_uid
from node.telemetry.audit.message import Action
from node.web.auditing import tell_changed, tell_queried
from node.web.faults import PageFault
from node.web.fetching import FetchDesk
from node.web.identities import show_date
from node.web.languages import texts_of
from node.web.navigation import Entry, mark
from node.web.rendering import render
from node.web.services import services_of
from node.web.visitor import visitor_of

router = APIRouter(prefix="/query")
ENTRY = Entry(path="/query", title=mark("Query"), role=Role.OPERATOR)

MAXIMUM_FOUND = 200
Key = Annotated[str, Field(max_length=64)]


class Asked(BaseModel):
    """What is looked for, where."""

    peer: Key = ""
    patient_id: Key = ""
    accession: Key = ""
    uid: Key = ""
    date: Annotated[str, Field(max_length=17, pattern=r"^(\d{8}(-(\d{8})?)?|-\d{8})?$")] = ""
    modality: Key = ""


@router.get("")
def show_query(request: Request, asked: Annotated[Asked, Query()]) -> Response:
    """Ask an archive, where something is asked."""
    keys = StudyKeys(
        study_instance_uid=asked.uid.strip(),
        patient_id=asked.patient_id.strip(),
        accession_number=asked.accession.strip(),
        study_date=asked.date,
        modality=asked.modality.strip().upper(),
    )
    found: tuple[StudyFound, ...] | None = None
    message = ""
    if asked.peer:
        found, message = _ask(request, asked.peer, keys)
    services = services_of(request)
    here = {study.study_instance_uid for study in found or ()}
    return render(
        request,
        "query.html",
        peers=services.settings().peers,
        asked=asked,
        found=None if found is None else found[:MAXIMUM_FOUND],
        cut=found is not None and len(found) > MAXIMUM_FOUND,
        held={uid for uid in here if services.store.last_sender(uid)},
        message=message,
        errands=desk_of(request).list(),
        show_date=show_date,
    )


@router.post("/fetch")
def fetch(
    request: Request,
    peer: Annotated[str, Form(max_length=64)],
    study: Annotated[str, Form(max_length=64)],
    *,
    by_get: Annotated[bool, Form()] = False,
) -> Response:
    """Begin to fetch a study."""
    if not is_uid(study):
        raise PageFault(HTTPStatus.UNPROCESSABLE_ENTITY)
    desk_of(request).begin(
        _peer(request, peer),
        Wanted(study_instance_uid=study),
        by_get=by_get,
        user=visitor_of(request).name,
    )
    tell_changed(request, study, f"fetch from {peer}", action=Action.CREATE)
    return RedirectResponse("/query#fetches", HTTPStatus.SEE_OTHER)


@router.get("/fetches")
def show_fetches(request: Request) -> Response:
    """Show what is being fetched."""
    return render(request, "query_fetches.html", errands=desk_of(request).list())


def desk_of(request: Request) -> FetchDesk:
    """Return the fetches of the application."""
    state = request.app.state
    if not hasattr(state, "fetch_desk"):
        services = services_of(request)
        state.fetch_desk = FetchDesk(services.fetch, services.now)
    found = state.fetch_desk
    assert isinstance(found, FetchDesk)
    return found


def _peer(request: Request, name: str) -> Peer:
    try:
        return services_of(request).settings().peer(name)
    except KeyError:
        raise PageFault(HTTPStatus.NOT_FOUND) from None


def _ask(request: Request, name: str, keys: StudyKeys) -> tuple[tuple[StudyFound, ...] | None, str]:
    """Return what was found, or why it was not asked."""
    peer = _peer(request, name)
    told = {key: value for key, value in vars(keys).items() if value}
    _ = texts_of(request).gettext
    if not told:
        return None, _("Say which studies: a list of all could be very long.")
    tell_queried(
        request, told, about_patients=("patient_id", "accession_number"), archive=peer.ae_title
    )
    try:
        return services_of(request).archive(peer).find_studies(keys), ""
    except OncoNodeError as error:
        return None, str(error)
