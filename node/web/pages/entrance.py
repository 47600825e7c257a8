"""Login, logout, and the user's own account."""

import secrets
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from node.telemetry.audit import codes, people
from node.web.auditing import person_of, tell_security
from node.web.gate import LOGIN_COOKIE, cookie_name
from node.web.languages import LANGUAGES, texts_of
from node.web.logging_in import Doorkeeper
from node.web.passwords import WeakPassword, hash_password
from node.web.rendering import age, render
from node.web.services import services_of
from node.web.visitor import address_of, visitor_of
from node.web.words import own_path

router = APIRouter()

Text = Annotated[str, Form(max_length=1024)]


@router.get("/login")
def show_login(request: Request, next: str = "/") -> Response:  # noqa: A002 - name of the parameter in the address
    """Ask for name and password."""
    if visitor_of(request).role is not None:
        return RedirectResponse(own_path(next), HTTPStatus.SEE_OTHER)
    return _ask(request, next=next)


@router.post("/login")
def log_in(
    request: Request,
    name: Text = "",
    password: Text = "",
    next: Text = "/",  # noqa: A002 - name of the field in the form
) -> Response:
    """Let a user in whose password is right."""
    services = services_of(request)
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    address = address_of(request)
    attempt = doorkeeper.try_password(name, password, address=address)
    trail = services.trail
    if attempt.user is None:
        _ = texts_of(request).gettext
        throttled = attempt.wait > timedelta()
        why = "too many failed logins" if throttled else "name or password wrong"
        who = people.person(name[:64], address=address)
        trail.record(people.user_logged_in(trail.node, user=who, failure=why))
        if not throttled:
            told = _("Name or password is wrong.")
            return _ask(request, next=next, name=name, message=told)
        seconds = attempt.wait.total_seconds()
        told = _("Too many failed logins. Try again in %(time)s.", time=age(seconds))
        response = _ask(
            request, next=next, name=name, message=told, status=HTTPStatus.TOO_MANY_REQUESTS
        )
        response.headers["Retry-After"] = str(int(seconds) + 1)
        return response
    who = people.person(attempt.user.name, address=address)
    trail.record(people.user_logged_in(trail.node, user=who))
    token, _session = services.accounts.begin_session(attempt.user.name, address=address)
    answer = RedirectResponse(own_path(next), HTTPStatus.SEE_OTHER)
    _set_cookie(request, answer, cookie_name(request.url.scheme), token)
    answer.delete_cookie(LOGIN_COOKIE, path="/login")
    return answer


@router.post("/logout")
def log_out(request: Request, everywhere: Annotated[bool, Form()] = False) -> Response:
    """End this session, or all of the user's."""
    services, visitor = services_of(request), visitor_of(request)
    if everywhere:
        services.accounts.end_all(visitor.name)
    else:
        services.accounts.end_session(visitor.session)
    services.trail.record(people.user_logged_out(services.trail.node, user=person_of(request)))
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    name = cookie_name(request.url.scheme)
    answer.delete_cookie(name, path="/", secure=request.url.scheme == "https", httponly=True)
    return answer


@router.get("/account")
def show_account(request: Request) -> Response:
    """Show what a user may choose."""
    return _show_account(request)


@router.post("/account/language")
def choose_language(request: Request, language: Text) -> Response:
    """Keep the language."""
    if language in LANGUAGES:
        services_of(request).accounts.choose_language(visitor_of(request).name, language)
    return RedirectResponse("/account", HTTPStatus.SEE_OTHER)


@router.post("/account/password")
def change_password(request: Request, old: Text = "", new: Text = "", again: Text = "") -> Response:
    """Change the password, which ends every session of the user."""
    services, visitor = services_of(request), visitor_of(request)
    _ = texts_of(request).gettext
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    attempt = doorkeeper.try_password(visitor.name, old, address=address_of(request))
    if attempt.user is None:
        return _show_account(request, message=_("The present password is wrong."))
    if new != again:
        return _show_account(request, message=_("The new password was not typed twice alike."))
    if new == old:
        return _show_account(request, message=_("This is the present password."))
    try:
        kept = hash_password(new, user=visitor.name)
    except WeakPassword:
        told = _(
            "A password has 12 to 256 characters, at least six different ones, and is not made of "
            "the user's name."
        )
        return _show_account(request, message=told)
    services.accounts.change_password(visitor.name, kept)
    tell_security(request, codes.USER_CHANGED, visitor.name, "password changed by the user")
    return RedirectResponse("/login", HTTPStatus.SEE_OTHER)


def _ask(
    request: Request,
    *,
    next: str,  # noqa: A002 - as above
    name: str = "",
    message: str = "",
    status: HTTPStatus | None = None,
) -> Response:
    # The same for all windows of a browser, so that one does not spoil the form of another.
    guard = request.cookies.get(LOGIN_COOKIE) or secrets.token_urlsafe()
    answer = render(
        request,
        "login.html",
        status_code=status or (HTTPStatus.UNAUTHORIZED if message else HTTPStatus.OK),
        csrf_token=guard,
        next=own_path(next),
        name=name,
        message=message,
        has_users=services_of(request).accounts.has_users(),
    )
    _set_cookie(request, answer, LOGIN_COOKIE, guard, path="/login")
    return answer


def _show_account(request: Request, *, message: str = "") -> Response:
    return render(
        request,
        "account.html",
        status_code=HTTPStatus.BAD_REQUEST if message else HTTPStatus.OK,
        message=message,
        languages=LANGUAGES,
    )


def _set_cookie(
    request: Request, answer: Response, name: str, value: str, *, path: str = "/"
) -> None:
    # Lax, not Strict: a link from the RIS to a study must find the user logged in.
    answer.set_cookie(
        name,
        value,
        path=path,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax" if path == "/" else "strict",
    )
