"""Files that a person drops in."""

from http import HTTPStatus

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from node.domain.errors import OncoNodeError
from node.domain.role import Role
from node.storage.usage import MEGABYTE
from node.telemetry.audit import people
from node.web.auditing import person_of
from node.web.navigation import Entry, mark
from node.web.rendering import render
from node.web.services import services_of
from node.web.uploading import AE_TITLE, TooMuch, UploadLimits, take_upload

log = structlog.get_logger()
router = APIRouter(prefix="/upload")
ENTRY = Entry(path="/upload", title=mark("Upload"), role=Role.OPERATOR)


@router.get("")
def show_upload(request: Request) -> Response:
    """Show where files are dropped."""
    return render(request, "upload.html", sender=AE_TITLE)


@router.post("/file")
async def take_file(request: Request) -> Response:
    """Take one file, or a zip archive; the body of the request is the file itself."""
    services = services_of(request)
    node = services.settings().node
    limits = UploadLimits(
        maximum_object_bytes=node.receive.maximum_dataset_mb * MEGABYTE,
        least_free_bytes=node.receive.minimum_free_disk_mb * MEGABYTE,
        free_bytes=services.spool.free_bytes,
    )
    try:
        uploaded = await take_upload(
            request.stream(), data_dir=node.data_dir, limits=limits, hand_in=services.hand_in
        )
    except TooMuch as fault:
        return JSONResponse({"error": str(fault)}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except ClientDisconnect:
        return JSONResponse({"error": "the upload was broken off"}, HTTPStatus.BAD_REQUEST)
    except OncoNodeError as fault:
        return JSONResponse({"error": str(fault)}, HTTPStatus.SERVICE_UNAVAILABLE)
    except OSError as fault:
        log.error("web.upload_not_kept", error=type(fault).__name__, errno=fault.errno)
        told = "the node cannot write to its disk"
        return JSONResponse({"error": told}, HTTPStatus.INSUFFICIENT_STORAGE)
    trail = services.trail
    trail.record(
        people.data_imported(
            trail.node, user=person_of(request), objects=uploaded.stored, refused=uploaded.refused
        )
    )
    return JSONResponse(vars(uploaded))
