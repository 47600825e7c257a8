"""What the node does now."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sse_starlette import EventSourceResponse

from node.web.api.forms import (
    AssociationForm,
    AssociationList,
    BundleForm,
    DiskForm,
    Limit,
    OverviewForm,
    PeerForm,
    Title,
)
from node.web.overview import Overview
from node.web.services import services_of
from node.web.streams import watch

router = APIRouter(tags=["node"])


@router.get("/overview")
def overview(request: Request) -> OverviewForm:
    """Everything that the overview shows."""
    return OverviewForm.model_validate(_look(request))


@router.get(
    "/events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(
    request: Request,
    most: Annotated[int, Query(ge=0, le=1_000_000, description="End after so many; 0: never")] = 0,
) -> EventSourceResponse:
    """An event with the overview whenever the node has changed, and every ten seconds."""
    return EventSourceResponse(watch(request, _tell, name="overview", most=most))


@router.get("/peers")
def peers(request: Request) -> list[PeerForm]:
    """The peers and the traffic with them."""
    return [PeerForm.model_validate(peer) for peer in _look(request).peers]


@router.get("/disk")
def disk(request: Request) -> DiskForm:
    """Free space against its marks, and what the files of the node take."""
    return DiskForm.model_validate(_look(request).disk)


@router.get("/bundles")
def bundles(request: Request) -> list[BundleForm]:
    """The models that the rules name."""
    return [BundleForm.model_validate(bundle) for bundle in _look(request).bundles]


@router.get("/associations")
def associations(
    request: Request,
    ae_title: Title = "",
    refused: Annotated[bool, Query(description="Only what did not end as usual")] = False,
    limit: Limit = 100,
) -> AssociationList:
    """The latest associations that were asked for here."""
    found = services_of(request).associations.list(
        refused=refused, ae_title=ae_title or None, limit=limit
    )
    return AssociationList(items=[AssociationForm.model_validate(each) for each in found])


def _look(request: Request) -> Overview:
    seen = request.app.state.watch.look()
    assert isinstance(seen, Overview)
    return seen


def _tell(overview: Overview) -> str:
    return OverviewForm.model_validate(overview).model_dump_json()
