"""Every route for every role: what the table of access says is what happens."""

import re

import pytest
from factories_ledger import add_job
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from web_client import Browser, browser_of, web_parts, web_services

from node.domain.role import Role
from node.web.access import ACCESS, SAFE_METHODS, needed_role
from node.web.app import create_app
from node.web.gate import session_times
from node.web.services import Services

OPEN = {("GET", "/login"), ("POST", "/login"), ("GET", "/health"), ("GET", "/ready")}
FOR_ADMINS = ("/users", "/audit")
FOR_OPERATORS = ("/query", "/upload")
OWN = ("/account", "/logout")
REFUSED = {401, 403}


def routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Method and path of every route, with its parameters filled in."""
    found: list[tuple[str, str]] = []

    def walk(routes: list[BaseRoute], prefix: str) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                path = re.sub(r"\{\w*deed\w*\}", "retry", prefix + route.path)
                path = re.sub(r"\{[^}]*uid[^}]*\}", "1.2.3", path)
                path = re.sub(r"\{[^}]*\}", "1", path)
                found.extend((method, path) for method in sorted(route.methods))
            else:
                inner = getattr(route, "original_router", None)
                context = getattr(route, "include_context", None)
                if inner is not None:
                    walk(inner.routes, prefix + (context.prefix if context else ""))

    walk(app.routes, "")
    return found


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Services:
    parts = web_parts(tmp_path_factory.mktemp("access"))
    add_job(parts, "1.2.3", "failed")
    return web_services(parts)


@pytest.fixture(scope="module")
def browsers(services: Services) -> dict[Role, Browser]:
    return {role: browser_of(services, role) for role in Role}


def expected_role(method: str, path: str) -> Role | None:
    """Who may, said once more in other words than the table's."""
    if (method, path) in OPEN:
        return None
    if path.startswith(FOR_ADMINS):
        return Role.ADMIN
    if path.startswith(FOR_OPERATORS):
        return Role.OPERATOR
    if path.startswith(OWN) or path.endswith("/feedback") or method == "GET":
        return Role.VIEWER
    return Role.OPERATOR


def test_all_routes_are_found(services: Services) -> None:
    routes = routes_of(create_app(services))
    assert {"/", "/login", "/jobs", "/account", "/metrics"} <= {path for _, path in routes}
    assert ("POST", "/api/v1/jobs/1/retry") in routes
    assert len(routes) > 25


@pytest.mark.parametrize("host", ["node.example/static/?", "node.example/login#", "/health?"])
def test_the_host_header_chooses_no_page(services: Services, host: str) -> None:
    stranger = Browser(create_app(services))
    assert stranger.get("/users", headers={"Host": host}).status_code == 303
    assert stranger.get("/api/v1/jobs", headers={"Host": host}).status_code == 401


def test_strangers_get_nowhere_but_to_the_login(services: Services) -> None:
    app = create_app(services)
    stranger = Browser(app)
    for method, path in routes_of(app):
        if (method, path) in OPEN:
            assert stranger.request(method, path).status_code not in (302, 303), path
            continue
        answer = stranger.request(method, path)
        if path.startswith(("/api/", "/metrics")):
            assert answer.status_code == 401, path
        elif path == "/events":
            assert answer.text.splitlines()[0] == "event: ended", path
        else:
            assert answer.status_code == 303, (method, path)
            assert answer.headers["location"].startswith("/login"), path


def test_the_table_is_what_each_route_should_ask(services: Services) -> None:
    for method, path in routes_of(create_app(services)):
        assert needed_role(method, path) == expected_role(method, path), (method, path)


def test_each_role_may_do_what_the_table_says_and_no_more(
    services: Services, browsers: dict[Role, Browser]
) -> None:
    for method, path in routes_of(create_app(services)):
        needed = expected_role(method, path)
        for role, browser in browsers.items():
            if path in ("/events", "/api/v1/events", "/logout", "/login"):
                continue  # they stream for ever, or end what the next request needs
            token = {} if method in SAFE_METHODS else {"X-CSRF-Token": csrf(services, browser)}
            status = browser.request(method, path, headers=token).status_code
            may = needed is None or role.includes(needed)
            assert (status not in REFUSED) == may, (role, method, path, status)


def csrf(services: Services, browser: Browser) -> str:
    token = browser.cookies["onconode"]
    web = services.settings().node.web
    session = services.accounts.find_session(token, **session_times(web))
    assert session is not None
    return session.csrf_token


def test_pages_that_do_not_exist_tell_strangers_nothing(services: Services) -> None:
    stranger = Browser(create_app(services))
    assert stranger.get("/no-such-page").status_code == 303
    assert stranger.get("/api/v1/no-such-thing").status_code == 401
    assert browser_of(services, Role.VIEWER).get("/no-such-page").status_code == 404


def test_the_table_ends_with_a_rule_for_everything_else() -> None:
    assert ACCESS[-1].path == "*"
    assert ACCESS[-1].read is not None
    assert ACCESS[-1].change is not None


def test_navigation_and_buttons_show_only_what_is_allowed(browsers: dict[Role, Browser]) -> None:
    assert "Retry" not in browsers[Role.VIEWER].get("/jobs").text
    assert "Retry" in browsers[Role.OPERATOR].get("/jobs").text
