"""The overview."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from node.web.navigation import Entry, mark
from node.web.rendering import render

router = APIRouter()
ENTRY = Entry(path="/", title=mark("Overview"))


@router.get("/")
def show_overview(request: Request) -> Response:
    """Show the flow as it runs."""
    return render(request, "overview.html")
