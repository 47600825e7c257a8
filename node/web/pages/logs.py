"""What the node remembers: associations, refused objects, and the audit trail."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from node.domain.role import Role
from node.telemetry.audit.events import audit_log_used
from node.telemetry.audit.reading import latest_records
from node.web.navigation import Entry, mark
from node.web.rendering import render
from node.web.services import services_of
from node.web.visitor import visitor_of

associations = APIRouter()
quarantine = APIRouter()
audit = APIRouter()
ASSOCIATIONS = Entry(path="/associations", title=mark("Associations"))
QUARANTINE = Entry(path="/quarantine", title=mark("Refused"))
AUDIT = Entry(path="/audit", title=mark("Audit trail"), role=Role.ADMIN)
LINES = 200

Key = Annotated[str, Query(max_length=64)]


@associations.get("/associations")
def show_associations(request: Request, ae_title: Key = "", refused: bool = False) -> Response:
    """Show who called, and why somebody was refused."""
    found = services_of(request).associations.list(
        refused=refused, ae_title=ae_title.strip() or None, limit=LINES
    )
    return render(
        request,
        "associations.html",
        associations=found,
        search={"ae_title": ae_title, "refused": refused},
    )


@quarantine.get("/quarantine")
def show_quarantine(request: Request) -> Response:
    """Show which objects were refused, and why."""
    return render(
        request, "quarantine.html", refused=services_of(request).store.quarantined(limit=LINES)
    )


@audit.get("/audit")
def show_audit(request: Request, event: Key = "", study: Key = "") -> Response:
    """Show the latest records of the audit trail; that somebody looked is recorded, too."""
    trail = services_of(request).trail
    records = []
    if trail.folder.is_dir():
        records = latest_records(
            trail.folder, limit=LINES, event=event.strip(), study=study.strip()
        )
    used = audit_log_used(trail.node, by=visitor_of(request).name, trail=trail.folder.as_uri())
    trail.record(used)
    return render(request, "audit.html", records=records, search={"event": event, "study": study})
