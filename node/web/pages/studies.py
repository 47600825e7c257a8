"""The list of the studies that are here, and the search among them."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from node.jobs.state import JobState
from node.web.auditing import tell_queried
from node.web.identities import Identities, show_date, show_name
from node.web.navigation import Entry, mark
from node.web.rendering import render
from node.web.services import services_of
from node.web.studies import StudySearch, find_studies

router = APIRouter()
ENTRY = Entry(path="/studies", title=mark("Studies"))

Key = Annotated[str, Field(max_length=64)]


class Asked(BaseModel):
    """What a reader typed; dates as ``2026-11-22``."""

    patient: Key = ""
    accession: Key = ""
    uid: Key = ""
    since: Key = ""
    until: Key = ""
    state: Key = ""
    offset: int = Field(0, ge=0, le=10_000_000)


@router.get("/studies")
def list_studies(request: Request, asked: Annotated[Asked, Query()]) -> Response:
    """Show a page of the studies that match."""
    services = services_of(request)
    keys = asked.model_dump(exclude={"offset"})
    tell_queried(request, keys, about_patients=("patient", "accession"))
    search = StudySearch(
        patient=asked.patient,
        accession=asked.accession,
        uid=asked.uid,
        since=_day(asked.since),
        until=_day(asked.until),
        state=asked.state if asked.state in list(JobState) else "",
    )
    page = find_studies(
        search,
        engine=services.engine,
        ledger=services.ledger,
        identities=identities_of(request),
        offset=asked.offset,
    )
    return render(
        request,
        "studies.html",
        page=page,
        keys=keys,
        states=list(JobState),
        show_name=show_name,
        show_date=show_date,
    )


def identities_of(request: Request) -> Identities:
    """Return what the application remembers of whom studies are about."""
    state = request.app.state
    if not hasattr(state, "identities"):
        state.identities = Identities()
    found = state.identities
    assert isinstance(found, Identities)
    return found


def _day(text: str) -> date | None:
    """Return a day, None for anything else: a form may send whatever was typed."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
