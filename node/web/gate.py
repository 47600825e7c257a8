"""Every request passes here before any page sees it: who asks, may they, and did they mean it."""

import asyncio
import secrets
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.config.settings import WebSettings
from node.storage.accounts import User
from node.web.access import SAFE_METHODS, needed_role
from node.web.faults import fault_page
from node.web.services import Services
from node.web.visitor import STRANGER, Visitor

log = structlog.get_logger()

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf_token"
LOGIN_COOKIE = "onconode_login"
"""Holds what the form of the login repeats: a stranger has no session that could."""
MAXIMUM_FORM_BYTES = 64 * 1024
FORM_S = 30.0
"""In which a form must have come."""
FORM = "application/x-www-form-urlencoded"
PARTS = "multipart/form-data"
"""No page sends it; files of any size in it would go to the disk before anybody looks."""
UPLOADS = ("/upload/file",)
"""Paths that take more than a form, and count what they take."""
NUL = b"%00"
"""No text that means anything holds it, and PostgreSQL takes none that does."""
ALWAYS = ("/account", "/logout", "/static/", "/login")
"""Paths for those, too, who have to change their password first."""
STREAMS = ("/events", "/api/v1/events")
ENDED = "ended"
"""Name of the event by which a stream tells its page that the session is no more."""
UNATTENDED = (*STREAMS, "/studies/*/progress", "/query/fetches")
"""An open page asks there by itself, so it is no sign of a person."""


def cookie_name(scheme: str) -> str:
    """Return the name of the session's cookie; by ``__Host-`` browsers refuse it without TLS."""
    return "__Host-onconode" if scheme == "https" else "onconode"


def session_times(web: WebSettings) -> dict[str, timedelta]:
    """Return after how long a session ends, as ``AccountStore`` asks it."""
    return {
        "idle": timedelta(minutes=web.session_idle_minutes),
        "longest": timedelta(hours=web.session_hours),
    }


class Gate:
    """ASGI middleware that lets through only what ``access.ACCESS`` allows.

    A change must repeat the session's CSRF token, in the header or in the form; a request with
    the token of a program carries no cookie, so that no other site can send it.

    Parameters
    ----------
    app : ASGIApp
    services : Services
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no web sockets here
        request = Request(scope, receive)
        try:
            visitor = await run_in_threadpool(self._identify, request)
        except SQLAlchemyError as error:
            log.warning("web.no_database", error=type(error).__name__)
            answer: Response | None = PlainTextResponse(
                "The database of the node does not answer.\n", HTTPStatus.SERVICE_UNAVAILABLE
            )
        else:
            scope.setdefault("state", {})["visitor"] = visitor
            if "\0" in path_of(request) or NUL in scope["query_string"]:
                answer = fault_page(request, HTTPStatus.BAD_REQUEST)
            else:
                answer = self._refuse(request, visitor)
            if answer is None and request.method not in SAFE_METHODS:
                try:
                    answer, receive = await self._check_intent(request, visitor, receive)
                except ClientDisconnect:
                    return
        await (answer or self._app)(scope, receive, send)

    def _identify(self, request: Request) -> Visitor:
        accounts = self._services.accounts
        program = bearer_of(request)
        if program is not None:
            user = accounts.user_of_token(program)
            return _visitor(user) if user else STRANGER
        token = request.cookies.get(cookie_name(request.url.scheme), "")
        if not token:
            return STRANGER
        session = accounts.find_session(
            token,
            **session_times(self._services.settings().node.web),
            is_use=not any(fnmatchcase(path_of(request), path) for path in UNATTENDED),
        )
        if session is None:
            return STRANGER
        return _visitor(session.user, csrf_token=session.csrf_token, session=session.token_sha256)

    def _refuse(self, request: Request, visitor: Visitor) -> Response | None:
        needed = needed_role(request.method, path_of(request))
        if needed is None:
            return None
        if visitor.role is None:
            return ask_to_log_in(request)
        if visitor.must_change and not path_of(request).startswith(ALWAYS):
            if is_api(request):
                return JSONResponse({"detail": "change the password first"}, HTTPStatus.FORBIDDEN)
            return RedirectResponse("/account", HTTPStatus.SEE_OTHER)
        if not visitor.role.includes(needed):
            return fault_page(request, HTTPStatus.FORBIDDEN)
        return None

    async def _check_intent(
        self, request: Request, visitor: Visitor, receive: Receive
    ) -> tuple[Response | None, Receive]:
        """Refuse what another site may have sent, or is more than a form.

        What was read of the body is given again.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = b""
        if path_of(request) not in UPLOADS:
            taken = await _take_form(kind, receive)
            if isinstance(taken, HTTPStatus):
                return fault_page(request, taken), receive
            body, receive = taken, _again(taken, receive)
        if visitor.role is not None and not visitor.session:
            return None, receive  # a program
        if _is_foreign(request.headers):
            return fault_page(request, HTTPStatus.FORBIDDEN), receive
        wanted = visitor.csrf_token or request.cookies.get(LOGIN_COOKIE, "")
        given = request.headers.get(CSRF_HEADER, "")
        if not given and kind == FORM:
            given = parse_qs(body.decode("latin-1")).get(CSRF_FIELD, [""])[0]
        if not wanted or not secrets.compare_digest(wanted.encode(), given.encode()):
            log.warning("web.csrf_refused", path=request.url.path)
            return fault_page(request, HTTPStatus.FORBIDDEN), receive
        return None, receive


def bearer_of(request: Request) -> str | None:
    """Return the token of a program; None where none is sent."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def is_api(request: Request) -> bool:
    """Tell whether a program asks."""
    return path_of(request).startswith(("/api/", "/metrics"))


def path_of(request: Request) -> str:
    """Return the path that chooses the page; ``request.url`` is made of the Host header, too."""
    path = request.scope["path"]
    assert isinstance(path, str)
    return path


def ask_to_log_in(request: Request) -> Response:
    """Send a person to the login, and tell a program that it has none."""
    if is_api(request):
        return JSONResponse(
            {"detail": "log in, or send a token"},
            HTTPStatus.UNAUTHORIZED,
            headers={"WWW-Authenticate": "Bearer"},
        )
    if request.headers.get("hx-request"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": "/login"})
    if path_of(request) in STREAMS:
        # An error would only make the page ask again, for ever.
        return Response(f"event: {ENDED}\ndata:\n\n", media_type="text/event-stream")
    wanted = request.url.path if request.method in SAFE_METHODS else "/"
    return RedirectResponse(f"/login?next={quote(wanted)}", HTTPStatus.SEE_OTHER)


def _visitor(user: User, **session: str) -> Visitor:
    return Visitor(
        name=user.name,
        role=user.role,
        language=user.language,
        must_change=user.must_change,
        has_password=user.has_password,
        **session,
    )


def _is_foreign(headers: Headers) -> bool:
    """Tell whether the browser says that another site sent it."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host")
    except ValueError:  # no address at all
        return True


async def _take_form(kind: str, receive: Receive) -> bytes | HTTPStatus:
    """Return the body of a form, or why it is not taken."""
    if kind == PARTS:
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    try:
        async with asyncio.timeout(FORM_S):
            body = await _read_form(receive)
    except TimeoutError:
        return HTTPStatus.REQUEST_TIMEOUT
    if body is None:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return HTTPStatus.BAD_REQUEST if NUL in body or b"\0" in body else body


async def _read_form(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message: Mapping[str, Any] = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect  # half a form may say something else
        body += message.get("body", b"")
        if len(body) > MAXIMUM_FORM_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    first = True

    async def receive_again() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return receive_again
