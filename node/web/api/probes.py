"""For the machines of the administrator; the same as the observer's, which needs no page."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response

from node.web.services import services_of

router = APIRouter()


@router.get("/health")
def health() -> Response:
    """The page answers."""
    return PlainTextResponse("alive\n")


@router.get("/ready")
def ready(request: Request) -> Response:
    """Whether the node could take a study now; says to strangers no more than that."""
    found = services_of(request).readiness()
    is_ready = all(found.values())
    status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse({"ready": is_ready, **found}, status)


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Metrics of Prometheus, for whoever is logged in or sends a token."""
    return Response(services_of(request).metrics(), media_type=CONTENT_TYPE_LATEST)
