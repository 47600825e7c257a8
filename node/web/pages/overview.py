"""The overview: the flow as it runs."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from sse_starlette import EventSourceResponse
from starlette.responses import Response

from node.web.alarms import alarm_text
from node.web.languages import texts_of
from node.web.navigation import Entry, mark
from node.web.overview import Overview
from node.web.rendering import render, render_text
from node.web.services import services_of
from node.web.streams import watch
from node.web.words import step_words

router = APIRouter()
ENTRY = Entry(path="/", title=mark("Overview"))


@router.get("/")
def show_overview(request: Request) -> Response:
    """Show the flow as it runs; ``/events`` keeps it up to date."""
    return render(request, "overview.html", **_context(request, request.app.state.watch.look()))


@router.get("/events")
async def stream_overview(request: Request) -> EventSourceResponse:
    """Send the changing part of the overview whenever the node has changed."""
    tell = partial(_tell, request)
    return EventSourceResponse(watch(request, tell, name="overview"))


def _tell(request: Request, overview: Overview) -> str:
    return render_text(request, "overview_live.html", **_context(request, overview))


def _context(request: Request, overview: Overview) -> dict[str, Any]:
    texts = texts_of(request)
    alarms = [(alarm, alarm_text(alarm, texts)) for alarm in overview.alarms]
    return {
        "overview": overview,
        "alarms": alarms,
        "words": step_words(request),
        "age_of": lambda moment: (services_of(request).now() - moment).total_seconds(),
    }
