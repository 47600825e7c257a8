"""Pages that say what is wrong."""

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from node.web.languages import Texts, texts_of
from node.web.rendering import render


class PageFault(Exception):
    """A page cannot be shown, or something cannot be done; a person reads why.

    Parameters
    ----------
    status : HTTPStatus
    message : str
        Translated; empty: what the status means.
    """

    def __init__(self, status: HTTPStatus, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def fault_page(request: Request, status: HTTPStatus, message: str = "") -> Response:
    """Return a page, or JSON for a program, that says what is wrong."""
    if request.url.path.startswith(("/api/", "/metrics")):
        return JSONResponse({"detail": message or status.phrase}, status)
    texts = texts_of(request)
    told = message or _meaning(texts).get(status, status.phrase)
    is_part = bool(request.headers.get("hx-request"))
    name = "fault_part.html" if is_part else "fault.html"
    answer = render(request, name, status_code=status, status=status, message=told)
    if is_part:  # into the place for messages, whatever the request was to change
        answer.headers.update({"HX-Retarget": "#message", "HX-Reswap": "innerHTML"})
    return answer


def _meaning(texts: Texts) -> dict[HTTPStatus, str]:
    _ = texts.gettext
    return {
        HTTPStatus.BAD_REQUEST: _("The request holds what no text may hold."),
        HTTPStatus.FORBIDDEN: _("You may not do this, or the page was open for too long."),
        HTTPStatus.NOT_FOUND: _("There is no such page."),
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _("That is too much for one request."),
        HTTPStatus.SERVICE_UNAVAILABLE: _("Something outside the page does not answer. Try again."),
        HTTPStatus.INTERNAL_SERVER_ERROR: _("An error of the program. The log says more."),
    }
